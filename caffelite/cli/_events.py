"""Training events as JSON lines."""

import json
import math
import time

import numpy as np


class EventLog:
    """A solver's listener that appends a line to a file per train, test, snapshot, ... event."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")
        self.waiting = None  # a train event, until the step that it belongs to tells its rate

    def __call__(self, event):
        if event["event"] == "train":
            self.waiting = event
        elif event["event"] != "step":
            self._write(event)
        elif self.waiting:
            self._write({**self.waiting, "lr": event["lr"], "images": event["images"]})
            self.waiting = None

    def _write(self, event):
        line = {key: _plain(value) for key, value in event.items()} | {"time": time.time()}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def close(self):
        self.file.close()


def _plain(value):
    """`value` as JSON can say it: arrays as lists, scalars as numbers, not a number as null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
