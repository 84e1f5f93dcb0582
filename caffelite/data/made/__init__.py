"""Data sets that `caffelite dataset NAME` makes: each is one file of this folder.

A maker's file has the name of its data set, with underscores for hyphens: mnist_5k.py makes
mnist-5k. It says these things:

- its docstring: one line of what it makes, which is the command's help, and below it what one has
  to know to use it, which is the command's help at length and stands in the reference;
- `OPTIONS`: {flag: Option}, the flags that the command gets for it; makers may share a flag;
- `PARTS`: the names of the parts, if these are others than train and test;
- `WHAT`: what its samples are called where they are counted, in the plural;
- `CLIPS`: True, if the channels of its samples are frames, which can be stored in other forms, too;
- `parts(**options)`: {"train": source, "test": source}, the samples. Each is a source
  (caffelite.data.source) whose samples are (pixels, label), pixels being uint8, channels x height x
  width, or a SymbolSource (caffelite.data.text), records of texts. They are the same ones each
  time; where chance is wanted, an option is its seed.

They become the databases OUT/FAMILY_PART_lmdb, where FAMILY is the name up to its first hyphen.
Nothing else has to be told of a new maker. What it needs for its work is imported in `parts`, so
that the command's help comes at once. Files whose names begin with an underscore are shared.
"""

import ast
import importlib
import importlib.util
import os
import pkgutil
import re
import shlex
from typing import NamedTuple


class Option(NamedTuple):
    """A flag of `caffelite dataset` that some makers take."""

    help: str
    kind: type = str  # or int, a number from `least` to `most`
    metavar: str = "N"
    default: object = None
    most: int = 0
    least: int = 0
    required: bool = False


BORDER = Option("a border of N zeros", int, default=0, most=99)


def names():
    """The data sets that can be made, sorted."""
    files = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in files if not name.startswith("_"))


def maker(name):
    """The module that makes the data set of a name."""
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def docstring(name):
    """(the line of help, what else there is to know) of a maker, which is not imported."""
    module = f"{__name__}.{name.replace('-', '_')}"
    source = importlib.util.find_spec(module).loader.get_source(module)
    line, _, rest = ast.get_docstring(ast.parse(source)).partition("\n")
    return line, rest.strip()


def place(name, out, file):
    """Where a file or a database of the data set of a name comes in the folder `out`."""
    family = getattr(maker(name), "FAMILY", name.partition("-")[0])
    return os.path.join(out, f"{family}_{file}")


def write_file(path, data):
    """Make a file of these bytes; one that holds them already is left as it is."""
    from ... import reading
    from ...atomic import write_atomically
    from ...errors import DataError

    if not os.path.lexists(path):
        write_atomically(path, data)
    elif reading.data(path) != data:
        raise DataError(f"{path}: exists already, with other content; remove it first")


def way_to(path):
    """What to say of a database, or a list of HDF5 files, that is not there, if it is made here."""
    folder, file = os.path.split(os.path.normpath(path))
    makers = names() if re.search(r"_(?:train|test)\w*(?:_lmdb|\.txt)$", file) else ()
    out = shlex.quote(folder or ".")
    commands = [
        f"`caffelite dataset {known} {form}--out {out}`"
        for known in makers
        for part in getattr(maker(known), "PARTS", ("train", "test"))
        for ending, form in (("_lmdb", ""), (".txt", "--hdf5 "))
        if place(known, "", f"{part}{ending}") == file
        and (not form or getattr(maker(known), "CLIPS", False))
    ]
    return f"; {' or '.join(commands)} makes it" if commands else ""
