"""Write a run log: what happens in a training, a JSON object a line."""

import logging
import os
import time

from ..json_text import json_text
from ..reading import opened

log = logging.getLogger("caffelite")

_OF_STEPS = "lr", "images", "waiting", "imbalance", "rounding"


class RunLog:
    """A solver's listener that appends a record to a file per train, test, snapshot, ... event.

    Training is worth more than its log: where the disk is full, it goes on, with a warning, and so
    does the log once there is room.
    """

    def __init__(self, path):
        self.path, self.lost = path, 0
        self.file = open(path, "ab", buffering=0)
        self.waiting = None  # a train event, until the step that it belongs to tells its rate
        self.at_start_of_line = _ends_a_line(path)
        if not self.at_start_of_line:
            log.warning(
                "%s: its last line is cut off, as a run that is killed leaves it; it is ended here "
                "and passed over by what reads the file",
                path,
            )

    def __call__(self, event):
        if event["event"] == "train":
            self.waiting = event
        elif event["event"] != "step":
            self.write(event)
        elif self.waiting:
            self.write(self.waiting | {name: event[name] for name in _OF_STEPS if name in event})
            self.waiting = None

    def write(self, event):
        """Append a record, with the time."""
        line = json_text(event | {"time": time.time()})
        start = "" if self.at_start_of_line else "\n"
        try:
            self._append(f"{start}{line}\n".encode())
        except OSError as problem:
            if not self.lost:
                log.warning(
                    "%s: cannot be written: %s; training goes on without its log",
                    *(self.path, problem.strerror),
                )
            self.lost += 1

    def _append(self, data):
        self.at_start_of_line = False
        while data:
            data = data[self.file.write(data) :]
        self.at_start_of_line = True

    def close(self):
        if self.lost:
            log.warning("%s: %d events could not be written", self.path, self.lost)
        self.file.close()


def _ends_a_line(path):
    """Whether what is appended to the file starts a line."""
    if not os.path.isfile(path) or not os.path.getsize(path):
        return True
    with opened(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
