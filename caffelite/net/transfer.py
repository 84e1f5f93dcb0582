"""The report of loading weights: what was copied, what was not, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..blob import Blob
from ..errors import WeightsError, did_you_mean
from ..layers.base import Layer
from ..types import Shape

if TYPE_CHECKING:
    from .net import Net

log = logging.getLogger("caffelite")

COPIED = "copied"
NOT_IN_NET = "skipped: the net has no layer of this name"
NOT_IN_FILE = "left as it was: the file has no layer of this name"
_SHORT = {COPIED: "copied", NOT_IN_NET: "not in the net", NOT_IN_FILE: "not in the file"}

WARN, REFUSE, REPORT = "warn", "refuse", "report"
MISSING = (WARN, REFUSE, REPORT)
"""What may be done about layers that no file has values for: the last is to say nothing of them."""

_MOST_UNUSED = 20  # names of layers of the file that are told; those missing are told all


@dataclass
class Transfer:
    """What became of each layer with blobs, of the net or of the file; prints as a table.

    `rows` are (file, layer name, outcome, shapes of its blobs), `filled` the blobs of the net that
    took values over, `missing` the names of its layers that have no values of any file.
    """

    rows: list[tuple[str, str, str, list[Shape]]] = field(default_factory=list)
    filled: list[Blob] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, path: str, layer: str, outcome: str, shapes: Sequence[Shape]) -> None:
        """Enter a layer, unless it has no blobs."""
        if shapes:
            self.rows.append((path, layer, outcome, list(shapes)))

    @property
    def copied(self) -> list[str]:
        """Names of the layers that took values over."""
        return [layer for _, layer, outcome, _ in self.rows if outcome == COPIED]

    def settle(self, layers: Iterable[Layer]) -> list[str]:
        """Let layers that took values over mend them; returns lines of which, and what was done."""
        filled = set(map(id, self.filled))
        mended: dict[str, list[str]] = {}
        for layer in layers:
            if any(id(blob) in filled for blob in layer.blobs):
                mended.setdefault(layer.settle(), []).append(f'"{layer.name}"')
        mended.pop("", None)
        return [
            f"{self._paths()}: layer{'s' * (len(names) > 1)} {', '.join(names)}: {what}"
            for what, names in mended.items()
        ]

    def judge(self, net: Net, way: str) -> list[str]:
        """Log what was copied; returns a line, or none, of what was not, and of what is missing.

        A net whose layers are not all filled raises an error where `way` is REFUSE.
        """
        lines = []
        for path, title in self._titles():
            if any(row[0] == path and row[2] == COPIED for row in self.rows):
                log.info(title)
            else:
                lines.append(title)
        unfilled = net.unfilled_layers(self.filled)
        self.missing = [layer.name for layer, _ in unfilled]
        unused = list(dict.fromkeys(row[1] for row in self.rows if row[2] == NOT_IN_NET))
        if unfilled and way != REPORT:
            lines.append(self._told(net, unfilled, unused))
        if lines and unused:
            lines.append(f"not used of the weights: {_some(unused)}")
        if unfilled and way == REFUSE:
            raise WeightsError("; ".join([*lines, _WAY_OUT]))
        return ["; ".join(lines)] if lines else []

    def _told(
        self, net: Net, unfilled: Sequence[tuple[Layer, list[Blob]]], unused: Sequence[str]
    ) -> str:
        """Which layers are missing, all of them."""
        place = f"{net.file}: " if net.file else ""
        count = sum(bool(layer.blobs) for layer in net.layers)
        missing = ", ".join(_describe(*one, unused) for one in unfilled)
        return (
            f"{place}not in {self._paths()}: {len(unfilled)} of the net's {count} layers with "
            f"weights, which have only what their fillers gave them: {missing}"
        )

    def _paths(self) -> str:
        return ", ".join(dict.fromkeys(row[0] for row in self.rows))

    def _titles(self) -> Iterator[tuple[str, str]]:
        for path in dict.fromkeys(row[0] for row in self.rows):
            outcomes = [row[2] for row in self.rows if row[0] == path]
            counts = ", ".join(f"{outcomes.count(what)} {_SHORT[what]}" for what in _SHORT)
            yield path, f"{path}: layers with weights: {counts}"

    def lines(self) -> Iterator[str]:
        """The table, a line for each layer, under a line for each file."""
        rows = [(p, layer, _shapes(shapes), what) for p, layer, what, shapes in self.rows]
        names, sizes = (max([0, *(len(row[k]) for row in rows)]) for k in (1, 2))
        for path, title in self._titles():
            yield title
            for of, layer, shapes, what in rows:
                if of == path:
                    yield f"    {layer:{names}}  {shapes:{sizes}}  {what}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__


_WAY_OUT = (
    "give the layers the names that the file has, or give the file that has them, or both as A,B; "
    "--allow-missing, in Python allow_missing=True, lets them through"
)


def _some(names: Sequence[str]) -> str:
    """As many of the names as one reads."""
    more = len(names) - _MOST_UNUSED
    told = ", ".join(f'"{name}"' for name in names[:_MOST_UNUSED])
    return told + (f" and {more} more" if more > 0 else "")


def _describe(layer: Layer, blobs: Sequence[Blob], unused: Sequence[str]) -> str:
    """What is missing of a layer, with the name in the file that is nearest to its own."""
    line = f"line {layer.param.source_line}: " if layer.param.source_line else ""
    of = f" of {len(layer.blobs)}" if len(blobs) < len(layer.blobs) else ""
    plural = "s" if len(blobs) > 1 or of else ""
    values = sum(blob.count for blob in blobs)
    hint = did_you_mean(layer.name, unused).removeprefix("; ")
    return (
        f'"{layer.name}" ({line}{len(blobs)}{of} blob{plural}, {values} values'
        f"{'; ' * bool(hint)}{hint})"
    )


def _shapes(shapes: Iterable[Shape]) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)
