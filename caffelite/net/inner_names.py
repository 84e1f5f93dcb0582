"""Names of pycaffe's Net that begin with an underscore, and that scripts use all the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..blob import Blob
from ..layers.base import Layer
from . import batches
from .node import Node


class InnerNames:
    """A base of Net, which has `layers`, `nodes`, `blobs`, `inputs` and `outputs`."""

    nodes: list[Node]
    blobs: OrderedDict[str, Blob]
    inputs: list[str]
    outputs: list[str]

    if TYPE_CHECKING:

        @property
        def layers(self) -> list[Layer]: ...

    @property
    def _layer_names(self) -> list[str]:
        return [layer.name for layer in self.layers]

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> list[Blob]:
        return list(self.blobs.values())

    @property
    def _inputs(self) -> list[int]:
        return self._ids(self.inputs)

    @property
    def _outputs(self) -> list[int]:
        return self._ids(self.outputs)

    def _top_ids(self, index: int) -> list[int]:
        return self._ids(self.nodes[index].top_names)

    def _bottom_ids(self, index: int) -> list[int]:
        return self._ids(self.nodes[index].bottom_names)

    def _ids(self, names: Iterable[str]) -> list[int]:
        """Places of the blobs `names` among all of the net's."""
        places = {name: i for i, name in enumerate(self.blobs)}
        return [places[name] for name in names]

    def _batch(self, values: Any) -> Any:
        return batches.split(self, values)
