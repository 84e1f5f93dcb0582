"""Python modules that users bring along: which of them may be imported, and importing them.

What they register (layers, fillers, update rules, policies, measures) is known from then on, as
what caffelite brings along. Nothing is imported but by its name: by `--import`, by `allow_python`,
or as what an installed package offers in the entry points `caffelite.layers`; these last two only
when a word is looked for that nobody has registered.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import itertools
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from types import ModuleType

from .errors import CaffeliteError

GROUP = "caffelite.layers"  # of the entry points of installed packages

log = logging.getLogger("caffelite")
_allowed: set[str] = set()
_folders: list[Callable[[], list[str]]] = []
_looked_through: set[str] = set()  # what a search has imported, or tried to


def allow_python(module: str) -> None:
    """Let nets import `module`, and its submodules, for their Python layers.

    A prototxt may come from anywhere, so by itself it imports nothing: it can use modules that
    the program has imported, and those allowed here. One that is allowed is imported, too, where a
    net has a type that nobody has registered.
    """
    _allowed.add(module)


def allow_folders(folders: Callable[[], list[str]]) -> None:
    """Let nets import what lies in these folders, for their Python layers: those of a script."""
    _folders.append(folders)


def is_allowed(module: str) -> bool:
    """Whether nets may import a module: it was allowed, or a package or folder that it is in."""
    if any(name in _allowed for name in parents(module)):
        return True
    whole = module.partition(".")[0]
    return any(PathFinder.find_spec(whole, folders()) is not None for folders in _folders)


def parents(module: str) -> Iterator[str]:
    """The names of a module's packages, and its own."""
    return itertools.accumulate(module.split("."), "{}.{}".format)


def import_own(name: str) -> ModuleType:
    """The module of that name, or of the file of that path, imported if it is not yet.

    A module that does not import is a CaffeliteError, which says where it failed.
    """
    if "caffe" not in sys.modules:
        from .pycaffe.as_caffe import install_as_caffe

        install_as_caffe()
    is_path = os.sep in name or "/" in name or name.endswith(".py")
    try:
        return _of_file(name) if is_path else importlib.import_module(name)
    except CaffeliteError:
        raise
    except Exception as problem:
        missing = isinstance(problem, ModuleNotFoundError) and problem.name in {*parents(name)}
        hint = "; is its folder on PYTHONPATH?" if missing else ""
        raise CaffeliteError(
            f'cannot import the module "{name}": {told(problem)}{hint}'
        ) from problem


def _of_file(path: str) -> ModuleType:
    """The module that a file holds, under the file's name; its folder is searched for others."""
    name, ending = os.path.splitext(os.path.basename(path))
    if ending != ".py":
        raise CaffeliteError(
            f"{path}: expected the name of a module, or of a file that ends in .py"
        )
    if not os.path.isfile(path):
        raise CaffeliteError(f"{path}: no such file")
    known = sys.modules.get(name)
    if known is not None and _is_of(known, path):
        return known
    if known is not None or name in sys.stdlib_module_names:
        raise CaffeliteError(
            f'{path}: there is another module "{name}", which it would hide; give it another name'
        )
    search(os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # it ends in .py
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_of(module: ModuleType, path: str) -> bool:
    file: str = getattr(module, "__file__", None) or ""
    return os.path.exists(file) and os.path.samefile(file, path)


def search(folder: str) -> None:
    """Let modules of a folder be found, before others of their names."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def look_for_more() -> bool:
    """Import what is allowed, and what installed packages offer; whether there was anything new.

    Called for a word that nobody has registered. What does not import is told, and passed over.
    """
    found = False
    for module in _allowed - _looked_through - sys.modules.keys():
        _looked_through.add(module)
        try:
            import_own(module)
            found = True
        except CaffeliteError as problem:
            log.warning("%s", problem)
    return _load_installed() or found


def _load_installed() -> bool:
    if GROUP in _looked_through:
        return False
    _looked_through.add(GROUP)
    offered = importlib.metadata.entry_points(group=GROUP)
    for entry in offered:
        try:
            entry.load()
        except Exception as problem:  # of another's package: anything
            package = f"the package {entry.dist.name}" if entry.dist else "a package"
            log.warning(
                "%s: cannot import %s, which offers layers: %s", package, entry.value, told(problem)
            )
    return bool(offered)


def told(problem: BaseException, file: str | None = None) -> str:
    """An exception of a user's code, with the place where it left `file`, or was raised."""
    frames = traceback.extract_tb(problem.__traceback__)[1:]
    ours = ("importlib", __file__)
    frames = [frame for frame in frames if not any(name in frame.filename for name in ours)]
    places = [frame for frame in frames if frame.filename == file] or frames
    at = "".join(f" ({frame.filename}:{frame.lineno})" for frame in places[-1:])
    return f"{type(problem).__name__}: {problem}{at}"
