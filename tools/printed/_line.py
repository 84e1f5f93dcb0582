"""A line of the page: what a deck prints, and the same with what is computed here in its place."""

import re
from dataclasses import dataclass

UNITS = {"": 1, "%": 1, "k": 1e3, "K": 1e3, "M": 1e6, "m": 1e6, "Million": 1e6, "Megabytes": 1}
UNITS |= {"w": 1e4, "万": 1e4, "kw": 1e7, "亿": 1e8}
SAID = {"%", "Megabytes"}  # units that are no factors
NUMBER = re.compile(
    r"(?<![A-Z\d.,])(?:"  # A1, as in CONV1, is a name
    r"10\^(?P<order>\d+)|"
    r"(?P<about>大约有? ?)?(?P<digits>\d+(?:,\d{3})*(?:\.\d+)?)"
    r"(?:\s?×\s?10\^(?P<power>\d+)|\s?(?P<unit>%|Million|Megabytes|kw|[kKMmw万亿])(?![A-Za-z]))?)"
)


@dataclass(frozen=True)
class Line:
    decks: str
    what: str
    printed: str
    here: str
    differs: bool
    remark: str = ""


def line(decks, what, printed, *ours, remark="", units=UNITS):
    """What is computed here for each of the numbers of `printed`, in their order.

    A number is as printed if it is less than one off in the last digit; after 大约, "about", zeros
    at the end do not count as digits, and 10^9 stands for all numbers of its length.
    """
    values, differs = iter(flat(ours)), False

    def replaced(match):
        nonlocal differs
        value = next(values, None)
        assert value is not None, f"{printed}: more is printed than computed"
        same = as_printed(match, value, units)
        differs |= not same
        kept = match[0].partition(match["digits"])[2] if match["unit"] in SAID else ""
        return exact(value) + kept if same else f"**{exact(value)}{kept}**"

    here = NUMBER.sub(replaced, printed)
    assert not [*values], f"{printed}: more is computed than printed"
    return Line(decks, what, printed, here, differs, remark)


def in_words(decks, what, printed, here, remark=""):
    """What is computed here, in the words of the deck."""
    differs = "".join(printed.split()) != "".join(here.split())
    return Line(decks, what, printed, f"**{here}**" if differs else here, differs, remark)


def fact(decks, what, printed, here, holds, remark=""):
    """What is found here of something that a deck says, and whether it holds."""
    return Line(decks, what, printed, here if holds else f"**{here}**", not holds, remark)


def rows(table):
    """The cells of each line of a text, between bars."""
    for text in table.strip().splitlines():
        yield [cell.strip() for cell in text.split(" | ")]


def flat(values):
    for value in values:
        if isinstance(value, int | float):
            yield value
        else:
            yield from flat(value)


def exact(value):
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def as_printed(match, value, units):
    """Whether a value is what a match of NUMBER says, as `line` tells."""
    if match["order"]:
        return len(str(int(value))) == int(match["order"]) + 1
    digits = match["digits"].replace(",", "")
    scale = 10.0 ** int(match["power"]) if match["power"] else units[match["unit"] or ""]
    zeros = len(digits) - len(digits.rstrip("0")) if match["about"] else 0
    last_place = 10.0 ** (zeros - len(digits.partition(".")[2])) * scale
    return abs(value - float(digits) * scale) < last_place
