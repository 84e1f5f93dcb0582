"""How others take part in a training: callbacks, listeners to events, requests."""


class Hooks:
    """What a solver, or several that train together, let others do."""

    def __init__(self):
        self._callbacks, self._listeners, self._requests = [], [], []

    def add_callback(self, on_start=None, on_gradients_ready=None):
        """Call the functions at the start of each iteration, and before each update."""
        self._callbacks.append({"on_start": on_start, "on_gradients_ready": on_gradients_ready})

    def _call(self, name):
        for callbacks in self._callbacks:
            if callbacks[name]:
                callbacks[name]()

    def add_listener(self, listener):
        """Call `listener(event)` with a dict: its "event" is step, train, test, best, snapshot,
        stopped or done, and "iteration" says when; other keys are what happened."""
        self._listeners.append(listener)

    def _emit(self, event, **facts):
        for listener in self._listeners:
            listener({"event": event, **facts})

    def request(self, action):
        """Ask for "snapshot" or "stop" at the next chance; may be called by a signal handler."""
        self._requests.append(action)

    def _pending(self, action):
        return action in self._requests

    def _take_requests(self, action):
        """Whether `action` was requested; its requests are then settled."""
        found = action in self._requests
        while action in self._requests:
            self._requests.remove(action)
        return found

    def _stop_requested(self):
        return self._take_requests("stop")
