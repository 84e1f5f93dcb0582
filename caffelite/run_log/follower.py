"""Read the curves and pictures of a training run from its log, while the run goes on."""

import math
import os
import re

from ..errors import DataError
from ..reading import count, finite, integer, is_number, opened
from .reader import MOST_RECORD, parse

MOST = MOST_RECORD  # bytes read at a time
_BASE64 = re.compile("[A-Za-z0-9+/]+=*")
MOST_VALUES = 8  # of one output that get a curve each


class Follower:
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
    """What a record says, or None for a line that is none."""
    record = parse(line.decode("utf-8", "replace"))
    if record is None:
        return None
    name, values = record["event"], {}
    if name in ("train", "test"):
        if not is_number(record.get("loss")) or not isinstance(record.get("outputs"), dict):
            return None
        values = dict(_values(name, record))
    point = {"event": name[:40], "iteration": record["iteration"], "values": values}
    if name == "picture":
        point["picture"] = _picture(record)
    return point


def _picture(record):
    """{name, png} of a record, if the page can show it."""
    name, png = record.get("name"), record.get("png")
    told = isinstance(name, str) and isinstance(png, str) and _BASE64.fullmatch(png)
    return {"name": name[:200], "png": png} if told else None


def _values(name, record):
    """(curve, number): the loss, the rate, and the numbers of each output."""
    net = count(record.get("net"))
    which = name + (f" #{net}" if net else "")
    yield f"{which} loss", _number(record["loss"])
    if "lr" in record:
        yield "lr", _number(record["lr"])
    for name, value in record["outputs"].items():
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
