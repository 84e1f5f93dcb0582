"""Write models/course/numbers.md: what decks print of nets, beside what the nets here have.

    python tools/course_numbers.py

What decks print, and how it is computed here, is in the files of tools/printed.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path[:1] = [str(ROOT)]

from caffelite.atomic import write_atomically  # noqa: E402
from tools.printed import sections  # noqa: E402

PAGE = ROOT / "models" / "course" / "numbers.md"
HEAD = """\
# Numbers of nets, as decks print them and as they are here

    python tools/course_numbers.py

writes this page from the nets of the zoo; the files of `tools/printed` have what decks print, and
how it is computed here. A number is as printed if it is less than one off in the last digit. Of
{all} lines {differing} differ, and numbers that do are **bold**; the last column says what is to be
said.

Counts are of values that are learned, costs of multiply-adds for one picture; nothing is trained
for them. Errors on ImageNet are not made here: they are those of the cards of the zoo, and what no
card has is left out. [README.md](README.md) says which deck is which; the second column has words
of the deck, or the layer's name here.
"""
COLUMNS = "| deck | of | printed | here | |\n|---|---|---|---|---|"


def main():
    write_atomically(PAGE, page([*sections()]).encode())


def page(made):
    """The text of numbers.md, of all `sections`."""
    differing = [
        replace(line, what=f"[{heading}](#{anchor(heading)}): {line.what}")
        for heading, _, lines in made
        for line in lines
        if line.differs
    ]
    head = HEAD.format(all=sum(len(lines) for *_, lines in made), differing=len(differing))
    first = section("Where they differ", "All such lines of the tables below.", differing)
    return "\n".join([head, first, *(section(*one) for one in made)])


def anchor(heading):
    """What a heading is called in links to it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def section(heading, told, lines):
    words = f"{told}\n\n" if told else ""
    rows = "\n".join(map(row, lines))
    return f"## {heading}\n\n{words}{COLUMNS}\n{rows}\n"


def row(line):
    return f"| {line.decks} | {line.what} | {line.printed} | {line.here} | {line.remark} |"


if __name__ == "__main__":
    main()
