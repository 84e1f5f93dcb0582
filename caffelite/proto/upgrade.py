"""Old layer, transform and solver fields -> today's.

A net file may hold layers of three generations. V0: `layers { layer { type: "conv" ... } }`,
V1: `layers { type: CONVOLUTION ... }`, today: `layer { type: "Convolution" ... }`. Every step
below has a predicate that says whether it is needed; a net that needs none is left as it is.
"""

import logging
import os

from ..errors import NetError, ProtoError, SolverError, did_you_mean, place
from ..kept_bytes import path_of
from ..reading import utf8
from . import caffe_pb2
from .old_names import (
    SOLVER_TYPES,
    V0_MESSAGES,
    V0_OPTIONS,
    V0_TRANSFORM,
    V0_TYPES,
    V1_DATA,
    V1_PARAM,
    V1_TYPES,
)

log = logging.getLogger("caffelite")


def upgrade_net(net, path="", problems=None):
    """Bring a NetParameter up to date, in place, and return it.

    Parameters
    ----------
    net : NetParameter
    path : where it came from, for messages
    problems : a list that receives a line for every old option that fits no layer; they are
        logged in any case, and the option is dropped
    """
    if net.layers and net.layer:
        line = net.layers[0].source_line
        raise NetError(
            'a net has "layer" or "layers" (the old form), not both; there are '
            f"{len(net.layer)} of the one and {len(net.layers)} of the other",
            file=path or ("" if line else "net"),
            line=line,
        )
    found = [] if problems is None else problems
    done = []
    for needed, apply, what in NET_UPGRADES:
        if needed(net):
            apply(net, path, found)
            done.append(what)
    for problem in found:
        log.error(problem)
    if done:
        log.warning(
            "%s: in an old form (%s), upgraded on reading; `caffelite upgrade` rewrites the file",
            path or "net",
            ", ".join(done),
        )
    return net


def net_needs_upgrade(net):
    return any(needed(net) for needed, _, _ in NET_UPGRADES)


def upgrade_solver(solver, path="", problems=None):
    """Bring a SolverParameter and the nets inside it up to date, in place, and return it.

    Parameters are as for `upgrade_net`.
    """
    if solver.HasField("solver_type"):
        old = caffe_pb2.SolverParameter.SolverType.Name(solver.solver_type)
        if solver.HasField("type"):
            raise SolverError(
                f"{path or 'solver'}: solver_type: {old} is the old way of saying type: "
                f'"{SOLVER_TYPES[old]}", but type: "{solver.type}" is given too; leave out one'
            )
        solver.type = SOLVER_TYPES[old]
        solver.ClearField("solver_type")
        log.warning(
            '%s: solver_type: %s is the old way of saying type: "%s"',
            path or "solver",
            old,
            solver.type,
        )
    for net in inline_nets(solver):
        upgrade_net(net, path, problems)
    return solver


def solver_needs_upgrade(solver):
    return solver.HasField("solver_type") or any(map(net_needs_upgrade, inline_nets(solver)))


def inline_nets(solver):
    """The nets inside a SolverParameter."""
    for field, value in solver.ListFields():
        if field.name in ("net_param", "train_net_param"):
            yield value
        elif field.name == "test_net_param":
            yield from value


def complete_snapshot_prefix(solver, path):
    """Unset: the solver file without its ending. A directory: the file's stem in there."""
    stem = os.path.splitext(os.path.basename(path))[0]
    if not solver.HasField("snapshot_prefix"):
        prefix = os.path.join(os.path.dirname(path), stem)
        solver.snapshot_prefix = utf8(prefix, "snapshot_prefix, which is not given", ProtoError)
    elif os.path.isdir(path_of(solver.snapshot_prefix)):
        prefix = os.path.join(solver.snapshot_prefix, stem)
        solver.snapshot_prefix = utf8(prefix, "snapshot_prefix", ProtoError)
    return solver


def _set(message, name, value):
    """Set a field of any kind; a single value is appended to a repeated field."""
    target = getattr(message, name)
    if hasattr(target, "append") and not hasattr(value, "append"):
        target.append(value)
    elif hasattr(target, "MergeFrom"):
        target.MergeFrom(value)
    else:
        setattr(message, name, value)


# V0 -> V1


def _has_v0(net):
    return any(entry.HasField("layer") for entry in net.layers)


def _upgrade_v0(net, path, problems):
    for field, _ in net.ListFields():
        if field.name not in ("name", "layers", "input", "input_dim", "force_backward"):
            net.ClearField(field.name)
    _fold_padding(net, path)
    for entry in net.layers:
        if entry.HasField("layer"):
            _upgrade_v0_layer(entry, path, problems)


def _fold_padding(net, path):
    """Give each padding layer's pad to the layer that reads it, and take it out."""
    producer = {}
    for entry in net.layers:
        for index, name in enumerate(entry.bottom):
            source = producer.get(name)
            if source is None or source.layer.type != "padding":
                continue
            if entry.layer.type not in ("conv", "pool") or len(entry.bottom) != 1:
                raise NetError(
                    f'bottom "{name}" comes from the padding layer "{source.layer.name}", which '
                    "only a conv or pool layer with a single bottom may read",
                    **_place(entry, path),
                    blob=name,
                )
            if (len(source.bottom), len(source.top)) != (1, 1):
                raise NetError(
                    "a padding layer has one bottom and one top, not "
                    f"{len(source.bottom)} and {len(source.top)}",
                    **_place(source, path),
                )
            entry.layer.pad = source.layer.pad
            entry.bottom[index] = source.bottom[0]
        producer.update((name, entry) for name in entry.top)
    for index in reversed(range(len(net.layers))):
        if net.layers[index].layer.type == "padding":
            del net.layers[index]


def _upgrade_v0_layer(entry, path, problems):
    for field, _ in entry.ListFields():
        if field.name not in ("bottom", "top", "layer", "source_line"):
            entry.ClearField(field.name)
    old = entry.layer
    if old.HasField("type"):
        if old.type not in V0_TYPES:
            raise NetError(
                f'unknown type "{old.type}"{did_you_mean(old.type, V0_TYPES)}',
                **_place(entry, path),
            )
        entry.type = caffe_pb2.V1LayerParameter.LayerType.Value(V0_TYPES[old.type])
    for field, value in old.ListFields():
        name = field.name
        if name in ("name", "blobs", "blobs_lr", "weight_decay"):
            _set(entry, name, value)
        elif name in V0_TRANSFORM:
            _set(entry.transform_param, V0_TRANSFORM[name], value)
        elif name == "hdf5_output_param" and old.type == "hdf5_output":
            entry.hdf5_output_param.CopyFrom(value)
        elif old.type in V0_OPTIONS.get(name, ("", ""))[1].split():
            try:
                _set(getattr(entry, V0_MESSAGES[old.type]), V0_OPTIONS[name][0], value)
            except ValueError:  # new_height and new_width took a sign once
                raise NetError(
                    f"{name} must not be below 0, got {value}", **_place(entry, path)
                ) from None
        elif name not in ("type", "new_num", "new_channels"):
            at = place(**_place(entry, path))
            problems.append(f'{at}: a layer of type "{old.type}" has no {name}')
    entry.ClearField("layer")


def _place(entry, path):
    """Where an entry of `layers` is, for errors."""
    name = entry.layer.name if entry.HasField("layer") else entry.name
    return {"file": path, "line": entry.source_line, "layer": name}


# Transform options inside V1 data layers


def _v1_data(entry):
    """The data message of a V1 layer that may hold transform options, or None."""
    name = V1_DATA.get(caffe_pb2.V1LayerParameter.LayerType.Name(entry.type))
    return getattr(entry, name) if name else None


def _old_transform(options):
    return [name for name in V0_TRANSFORM.values() if options.HasField(name)]


def _has_old_transform(net):
    return any(_old_transform(options) for options in map(_v1_data, net.layers) if options)


def _upgrade_transform(net, path, problems):
    for entry in net.layers:
        options = _v1_data(entry)
        for name in _old_transform(options) if options else ():
            setattr(entry.transform_param, name, getattr(options, name))
            options.ClearField(name)


# V1 -> today


def _has_v1(net):
    return len(net.layers) > 0


def _upgrade_v1(net, path, problems):
    for entry in net.layers:
        _upgrade_v1_layer(entry, net.layer.add())
    net.ClearField("layers")


def _upgrade_v1_layer(old, new):
    for field, value in old.ListFields():
        if field.name == "type":
            name = caffe_pb2.V1LayerParameter.LayerType.Name(value)
            new.type = V1_TYPES[name]
            if name == "CROP":
                new.crop_param.aligned = True
        elif field.name in V1_PARAM:
            while len(new.param) < len(value):
                new.param.add()
            for spec, item in zip(new.param, value, strict=False):
                setattr(spec, V1_PARAM[field.name], item)
        else:
            _set(new, field.name, value)


# Input fields -> Input layer


def _has_input_fields(net):
    return len(net.input) > 0


def _upgrade_input(net, path, problems):
    if net.input_shape or net.input_dim:
        shapes = _input_shapes(net)
        if len(shapes) < len(net.input):
            raise NetError(
                f"{path or 'net'}: {len(net.input)} input fields, but input_shape or input_dim "
                f"give the shape of {len(shapes)}; expected one input_shape, or four input_dim, "
                f"per input"
            )
        layer = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
        for shape in shapes[: len(net.input)]:
            layer.input_param.shape.add(dim=shape)
        net.layer.insert(0, layer)
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)


def _input_shapes(net):
    if net.input_shape:
        return [shape.dim for shape in net.input_shape]
    return list(zip(*[iter(net.input_dim)] * 4, strict=False))  # four at a time


# The statistics of BatchNorm do not learn


def _learning_statistics(net):
    return [
        spec
        for layer in net.layer
        if layer.type == "BatchNorm" and len(layer.param) == 3
        for spec in layer.param
        if spec.lr_mult != 0 or spec.decay_mult != 0
    ]


def _upgrade_batch_norm(net, path, problems):
    for spec in _learning_statistics(net):
        spec.lr_mult = spec.decay_mult = 0


# In this order: predicate, upgrade, what it is called.
NET_UPGRADES = [
    (_has_v0, _upgrade_v0, "V0 layers"),
    (_has_old_transform, _upgrade_transform, "transform options inside data layers"),
    (_has_v1, _upgrade_v1, "V1 layers"),
    (_has_input_fields, _upgrade_input, "input fields"),
    (_learning_statistics, _upgrade_batch_norm, "BatchNorm statistics with a learning rate"),
]
