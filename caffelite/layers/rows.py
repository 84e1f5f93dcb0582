"""Weights as rows, each of which multiplies a part of a bottom: all of a sample, or a window."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import Array, Shape


@dataclass(frozen=True)
class Rows:
    """How the weights of a layer, its blob 0, are rows: one for each output.

    A dense layer and a convolution whose rows are for parts of one shape have the same weights, but
    for the shape of the blob.

    Parameters
    ----------
    shape : of what a row multiplies: channels, and axes of space if it has any
    group : the groups of channels, one of which a row multiplies
    upright : whether the rows stand as columns in the blob
    """

    shape: Shape
    group: int = 1
    upright: bool = False

    def of(self, weights: Array) -> Array:
        """The weights with a row for each output, flattened."""
        return weights.T if self.upright else weights.reshape(len(weights), -1)

    def laid(self, rows: Array, shape: Shape) -> Array:
        """Rows, flattened, as a blob of this shape."""
        return (rows.T if self.upright else rows).reshape(shape)
