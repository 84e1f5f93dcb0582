"""Read the curves of a training run from its JSON lines, while the run goes on."""

import json
import math
import os

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
        try:
            with open(self.path, "rb") as file:
                return self._read(file, cursor)
        except FileNotFoundError:
            return _answer([], "", restart=True, state="waiting for the file")
        except OSError as problem:
            return _answer([], "", restart=True, state=f"cannot be read: {problem.strerror}")

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
    if inode != str(facts.st_ino) or not offset.isdecimal() or len(offset) > 18:
        return 0
    offset = int(offset)
    return offset if offset <= facts.st_size else 0


def _point(line):
    """What an event says, or None for a line that is none."""
    try:
        event = json.loads(line)
        name, iteration = event["event"], event["iteration"]
        if not isinstance(name, str) or type(iteration) is not int:
            return None
        values = dict(_values(event)) if name in ("train", "test") else {}
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return None
    return {"event": name[:40], "iteration": iteration, "values": values}


def _values(event):
    """(curve, number): the loss, the rate, and the numbers of each output."""
    which = event["event"] + (f" #{event['net']}" if event.get("net") else "")
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
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else None
