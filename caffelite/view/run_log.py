"""Read the curves of a training run from its JSON lines, while the run goes on."""

import math
import os

from ..errors import DataError
from ..reading import count, finite, integer, is_number, json_object, opened

MOST = 2**20  # bytes read at a time
MOST_VALUES = 8  # of one output that get a curve each


class RunLog:
    """The file of `caffelite train --log`, read from where the last answer ended."""

    def __init__(self, path):
        self.path = path

    def read(self, cursor=""):
        """What came since `cursor`, which is an answer's "cursor", or "" for all.

        "points" are {event, iteration, values: {curve: number or None}}. "restart" says that they
        are the first: at the start, and when the file was replaced or shortened. "more" asks to
        read on at once; a line that has no end yet is left for later.
        """
        if not os.path.lexists(self.path):
            return _answer([], "", restart=True, state="waiting for the file")
        try:
            with opened(self.path, "rb", piped=False) as file:
                return self._read(file, cursor)
        except DataError as problem:
            return _answer([], "", restart=True, state=str(problem))

    def _read(self, file, cursor):
        facts = os.fstat(file.fileno())
        start = _position(file, cursor, facts)
        file.seek(start)
        data = file.read(MOST)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == MOST:  # no event is so long: pass over it piece by piece
            end = MOST
        lines = [line for line in data[:end].split(b"\n") if line.strip()]
        points = [point for point in map(_point, lines) if point]
        return _answer(
            points,
            f"{facts.st_ino}-{start + end}",
            restart=start == 0,
            more=len(data) == MOST,
            passed_over=len(lines) - len(points),
        )


def _answer(points, cursor, restart, more=False, passed_over=0, state=""):
    return {
        "points": points,
        "cursor": cursor,
        "restart": restart,
        "more": more,
        "passed_over": passed_over,
        "state": state,
    }


def _position(file, cursor, facts):
    """Where to read on: the end of the last answer, or 0 where the file is another by now."""
    inode, _, offset = cursor.partition("-")
    if inode != str(facts.st_ino):
        return 0
    try:
        return integer(offset, "cursor", least=0, most=facts.st_size)
    except DataError:
        return 0


def _point(line):
    """What an event says, or None for a line that is none."""
    try:
        event = json_object(line.decode("utf-8", "replace"), "")
    except DataError:
        return None
    name, iteration = event.get("event"), count(event.get("iteration"))
    if not isinstance(name, str) or iteration is None:
        return None
    values = {}
    if name in ("train", "test"):
        if not is_number(event.get("loss")) or not isinstance(event.get("outputs"), dict):
            return None
        values = dict(_values(name, event))
    return {"event": name[:40], "iteration": iteration, "values": values}


def _values(name, event):
    """(curve, number): the loss, the rate, and the numbers of each output."""
    net = count(event.get("net"))
    which = name + (f" #{net}" if net else "")
    yield f"{which} loss", _number(event["loss"])
    if "lr" in event:
        yield "lr", _number(event["lr"])
    for name, value in event["outputs"].items():
        if name == "loss":
            continue  # that is the loss above, if weighted by 1
        if not isinstance(value, list):
            yield f"{which} {name}", _number(value)
        elif len(value) <= MOST_VALUES and not any(isinstance(one, list) for one in value):
            for index, one in enumerate(value):
                yield f"{which} {name}[{index}]", _number(one)


def _number(value):
    """`value` as a curve can show it: None where it is not finite."""
    value = finite(value)
    return None if math.isnan(value) else value
