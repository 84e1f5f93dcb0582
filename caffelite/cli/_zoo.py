"""Where the nets of models/ and the solvers of solvers/ are, installed or in a checkout."""

import os
import re

import caffelite

from ..errors import DataError, did_you_mean
from ..reading import text, yaml_mapping
from ._flags import UsageError


def folder(kind):
    """The path of "models" or "solvers"."""
    for root in caffelite.__path__:
        path = os.path.join(root, kind)
        if os.path.isdir(path):
            return path
    raise DataError(f"{caffelite.__path__[0]}: this installation lacks {kind}")


def names():
    """The nets there are, a folder each; resnet-50 comes before resnet-101."""
    models = folder("models")
    found = (name for name in os.listdir(models) if os.path.isfile(_readme(models, name)))
    return sorted(found, key=lambda name: re.sub(r"\d+", lambda digits: digits[0].zfill(9), name))


def known(name):
    """The name, if there is such a net."""
    if name not in names():
        hint = did_you_mean(name, names()) or '; "caffelite models" lists them'
        raise UsageError(f'unknown net "{name}"{hint}')
    return name


def card(name):
    """(the facts at the head of a net's readme.md, the prose below)."""
    path = _readme(folder("models"), name)
    _, facts, prose = text(path).split("---\n", 2)
    return yaml_mapping(facts, path), prose.strip()


def _readme(models, name):
    return os.path.join(models, name, "readme.md")
