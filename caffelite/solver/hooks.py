"""How others take part in a training: callbacks, listeners to events, requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .team import Alone


class Hooks:
    """What a solver, or several that train together, let others do."""

    def __init__(self) -> None:
        self._callbacks: list[dict[str, Callable[[], object] | None]] = []
        self._listeners: list[Callable[[dict[str, Any]], object]] = []
        self.team = Alone()
        self._asked: list[str] = []  # of this process alone
        self._requests: list[str] = []  # known to all processes

    def add_callback(
        self,
        on_start: Callable[[], object] | None = None,
        on_gradients_ready: Callable[[], object] | None = None,
    ) -> None:
        """Call the functions at the start of each iteration, and before each update."""
        self._callbacks.append({"on_start": on_start, "on_gradients_ready": on_gradients_ready})

    def _call(self, name: str) -> None:
        for callbacks in self._callbacks:
            if callback := callbacks[name]:
                callback()

    def add_listener(self, listener: Callable[[dict[str, Any]], object]) -> None:
        """Call `listener(event)` with a dict: its "event" is step, train, test, best, snapshot,
        stopped or done, and "iteration" says when; other keys are what happened."""
        self._listeners.append(listener)

    def _emit(self, event: str, **facts: Any) -> None:
        for listener in self._listeners:
            listener({"event": event, **facts})

    def request(self, action: str) -> None:
        """Ask for "snapshot" or "stop" at the next chance; may be called by a signal handler."""
        self._asked.append(action)

    def _take_asked(self) -> list[str]:
        asked, self._asked = self._asked, []
        return asked

    def _share_requests(self) -> None:
        """Let all processes know what each of them was asked for."""
        self._requests += self.team.union(self._take_asked())

    def _known(self) -> list[str]:
        """The requests that all processes know of: of a single one, all."""
        if self.team.size == 1:
            self._requests += self._take_asked()
        return self._requests

    def _pending(self, action: str) -> bool:
        return action in self._known()

    def _take_requests(self, action: str) -> bool:
        """Whether `action` was requested; its requests are then settled."""
        found = action in self._known()
        while action in self._requests:
            self._requests.remove(action)
        return found

    def _stop_requested(self) -> bool:
        return self._take_requests("stop")
