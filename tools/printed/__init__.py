"""What decks of courses print of nets, beside what the nets here have: one file is one section.

A file's docstring is its heading, and below that what there is to know; `lines()` yields what
decks print, with what is computed for it here (see _line.py). Nothing else has to be told of it:
`python tools/course_numbers.py` walks the folder. Files whose names begin with an underscore are
shared.
"""

import importlib
import inspect
import pkgutil


def sections():
    """(heading, what there is to know, lines) of each file."""
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        if not name.startswith("_"):
            module = importlib.import_module(f"{__name__}.{name}")
            heading, _, told = inspect.getdoc(module).partition("\n")
            yield heading.rstrip("."), told.strip(), list(module.lines())
