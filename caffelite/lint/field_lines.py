"""On which line each field of a prototxt is."""

from ..proto.scan import LineIndex, field_offsets


class FieldLines:
    """Looks up lines in a text that parses."""

    def __init__(self, text):
        lines = LineIndex(text)
        self.lines = {path: lines.line(offset) for path, offset in field_offsets(text)}
        self.layers = {}  # line: path of the first layer that starts there
        for path, line in self.lines.items():
            if path[-2] in ("layer", "layers"):
                self.layers.setdefault(line, path)

    def line(self, layer, steps):
        """The line of a field of a layer, or of the whole message (None), or of what holds it.

        `steps` are names, each followed by an index where it is not 0: ("pooling_param", "pad").
        """
        start = self.layers.get(layer.source_line, ()) if layer is not None else ()
        path = start + _with_indices(steps)
        while len(path) > len(start):
            if path in self.lines:
                return self.lines[path]
            path = path[:-2]
        return max(layer.source_line, 1) if layer is not None else 1


def _with_indices(steps):
    path = ()
    for step in steps:
        path = (*path, step, 0) if isinstance(step, str) else (*path[:-1], step)
    return path
