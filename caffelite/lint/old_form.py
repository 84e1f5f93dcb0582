"""What Caffe still reads, or reads and ignores, but is written otherwise today."""

from ..proto import caffe_pb2

# Field of a message: what to write instead. All of these still act.
_REPLACED = {
    ("NetParameter", "input"): 'layer { type: "Input" ... }',
    ("ConcatParameter", "concat_dim"): "axis",
    ("SliceParameter", "slice_dim"): "axis",
    ("LossParameter", "normalize"): "normalization",
    ("DummyDataParameter", "num"): "shape { dim: ... }",
    ("BlobProto", "num"): "shape { dim: ... }",
    ("SolverParameter", "solver_type"): "type",
}


def old_forms(message):
    """(layer or None, words, fields) of each old field in a net as its file has it, or a solver."""
    if isinstance(message, caffe_pb2.NetParameter):
        if message.layers:
            first = message.layers[0]
            generation = "V0" if first.HasField("layer") else "V1"
            yield first, f"{generation} layers; `caffelite upgrade` writes them in today's form", ()
        for layer in message.layer:
            for words, fields in _replaced(layer):
                yield layer, words, fields
    for words, fields in _replaced(message, skip=("layer", "layers")):
        yield None, words, fields


def _replaced(message, skip=(), path=()):
    for field, value in message.ListFields():
        instead = _REPLACED.get((message.DESCRIPTOR.name, field.name))
        if instead:
            yield f"{field.name} is an old form; write {instead}", (*path, field.name)
        elif field.message_type and field.name not in skip:
            inner = value if hasattr(value, "append") else [value]
            for index, one in enumerate(inner):
                yield from _replaced(one, (), (*path, field.name, index))
