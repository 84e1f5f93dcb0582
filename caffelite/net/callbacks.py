"""Functions that others have a net call while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..blob import Blob

_EVENTS = "before_forward", "after_forward", "before_backward", "after_backward"


class Callbacks:
    """A base of Net: what is called before and after layers, and when gradients are ready.

    Layers that run in one step are called for one after the other, in order; the step as a whole
    runs between the two calls for the first of them. So from then on the blob that they share
    shows what the last of them made, and in backward its diff what the first of these made (see
    `Net.steps` and `caffelite summary --plan`). CAFFELITE_PLAN=off in the environment makes each
    layer a step of its own.

    Layers that a pass leaves out (see Eltwise, operation: STOCHASTIC_SUM) are called for, too, and
    their blobs hold 0.
    """

    def _start_calls(self) -> None:
        events = (*_EVENTS, "on_gradients_ready")
        self._callbacks: dict[str, list[Callable[[Any], object]]] = {event: [] for event in events}

    def _call(self, event: str, argument: Any) -> None:
        for callback in self._callbacks[event]:
            callback(argument)

    def _call_rest(self, way: str, places: Iterable[int]) -> None:
        """The calls for the layers that have run with the first of their step."""
        for place in places:
            self._call(f"before_{way}", place)
            self._call(f"after_{way}", place)

    @property
    def _shows_blobs(self) -> bool:
        """Whether somebody may look at blobs, or change them, between two steps of forward."""
        return bool(self._callbacks["before_forward"] or self._callbacks["after_forward"])

    def before_forward(self, callback: Callable[[int], object]) -> None:
        """Call `callback(layer index)` before each layer's forward."""
        self._callbacks["before_forward"].append(callback)

    def after_forward(self, callback: Callable[[int], object]) -> None:
        """Call `callback(layer index)` after each layer's forward."""
        self._callbacks["after_forward"].append(callback)

    def before_backward(self, callback: Callable[[int], object]) -> None:
        """Call `callback(layer index)` before each layer's backward."""
        self._callbacks["before_backward"].append(callback)

    def after_backward(self, callback: Callable[[int], object]) -> None:
        """Call `callback(layer index)` after each layer's backward."""
        self._callbacks["after_backward"].append(callback)

    def on_gradients_ready(self, callback: Callable[[list[Blob]], object]) -> None:
        """Call `callback(blobs)` in backward, as soon as the diffs of learnable blobs are final.

        They are when the last step that adds to them has run, of all layers that share them and,
        with iter_size, in the last pass (`Net.gradients_are_final`). Each blob comes once, the
        owner of its values; those that no gradient reaches never come. Processes that train
        together exchange gradients here, while backward goes on.
        """
        self._callbacks["on_gradients_ready"].append(callback)
