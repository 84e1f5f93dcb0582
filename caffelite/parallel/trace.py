"""A trace of an iteration's layers and exchanges, in the format of Chrome's chrome://tracing."""

import json
import time


class Trace:
    """Notes when layers of a net run forward and backward, and when a rank waits.

    Written by `close`: a file for all ranks, each of which is a process there. It may be opened in
    chrome://tracing or https://ui.perfetto.dev.

    Parameters
    ----------
    path : the file, which rank 0 writes
    ranks : the Ranks
    nets : those that are trained
    """

    MOST = 200_000  # events of a rank: what comes after is left out

    def __init__(self, path, ranks, nets):
        self.path, self.ranks, self.events, self._begun = path, ranks, [], {}
        ranks.comm.Barrier()
        self.start = time.perf_counter()
        for net in nets:
            self._listen(net)
        ranks.note = ranks.exchange.note = self.note

    def _listen(self, net):
        names = [layer.name for layer in net.layers]
        for way in ("forward", "backward"):
            before, after = getattr(net, f"before_{way}"), getattr(net, f"after_{way}")
            before(lambda place, way=way: self._begun.update({way: time.perf_counter()}))
            after(lambda place, way=way: self.note(names[place], way, self._begun[way]))

    def note(self, name, kind, began):
        """Take in that something of a kind ran from then until now."""
        if len(self.events) < self.MOST:
            now = time.perf_counter()
            times = {"ts": 1e6 * (began - self.start), "dur": 1e6 * (now - began)}
            event = {"ph": "X", "pid": self.ranks.rank, "tid": kind, "name": name}
            self.events.append(event | times)

    def close(self):
        """Write the file, on rank 0; all call it."""
        every = self.ranks.comm.gather(self.events)
        if every is None:
            return
        events = [event for events in every for event in events]
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)
