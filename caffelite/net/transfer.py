"""The report of loading weights: what was copied, what was not, and why."""

import logging
from dataclasses import dataclass, field

log = logging.getLogger("caffelite")

COPIED = "copied"
NOT_IN_NET = "skipped: the net has no layer of this name"
NOT_IN_FILE = "left as it was: the file has no layer of this name"
_SHORT = {COPIED: "copied", NOT_IN_NET: "not in the net", NOT_IN_FILE: "not in the file"}


@dataclass
class Transfer:
    """What became of each layer with blobs, of the net or of the file; prints as a table.

    `rows` are (file, layer name, outcome, shapes of its blobs), `filled` the blobs of the net that
    took values over.
    """

    rows: list = field(default_factory=list)
    filled: list = field(default_factory=list)

    def add(self, path, layer, outcome, shapes):
        """Enter a layer, unless it has no blobs."""
        if shapes:
            self.rows.append((path, layer, outcome, list(shapes)))

    def __add__(self, other):
        return Transfer(self.rows + other.rows, self.filled + other.filled)

    @property
    def copied(self):
        """Names of the layers that took values over."""
        return [layer for _, layer, outcome, _ in self.rows if outcome == COPIED]

    def settle(self, layers):
        """Let layers that took values over mend them; a warning tells which, and what was done."""
        filled, mended = set(map(id, self.filled)), {}
        for layer in layers:
            if any(id(blob) in filled for blob in layer.blobs):
                mended.setdefault(layer.settle(), []).append(f'"{layer.name}"')
        mended.pop("", None)
        paths = ", ".join(dict.fromkeys(row[0] for row in self.rows))
        for what, names in mended.items():
            layers = "layer" if len(names) == 1 else "layers"
            log.warning("%s: %s %s: %s", paths, layers, ", ".join(names), what)

    def log(self):
        """Log how many layers were copied; a warning if none was."""
        for path, line in self._titles():
            copied = any(row[0] == path and row[2] == COPIED for row in self.rows)
            log.log(logging.INFO if copied else logging.WARNING, line)

    def _titles(self):
        for path in dict.fromkeys(row[0] for row in self.rows):
            outcomes = [row[2] for row in self.rows if row[0] == path]
            counts = ", ".join(f"{outcomes.count(what)} {_SHORT[what]}" for what in _SHORT)
            yield path, f"{path}: layers with weights: {counts}"

    def lines(self):
        """The table, a line for each layer, under a line for each file."""
        rows = [(p, layer, _shapes(shapes), what) for p, layer, what, shapes in self.rows]
        names, sizes = (max([0, *(len(row[k]) for row in rows)]) for k in (1, 2))
        for path, title in self._titles():
            yield title
            for of, layer, shapes, what in rows:
                if of == path:
                    yield f"    {layer:{names}}  {shapes:{sizes}}  {what}"

    def __str__(self):
        return "\n".join(self.lines())

    __repr__ = __str__


def _shapes(shapes):
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)
