"""Rules on options that do nothing."""

from ..net.net import unread
from .types import created


def foreign_options(view):
    """The options of another type."""
    yield from _unread(view, "foreign")


def ignored_option(view):
    """An option that changes nothing."""
    yield from _unread(view, "ignored")
    for path, words in unread(view.net):
        yield None, words, *path


def refused_option(view):
    """An option that the type, or this program, does not have."""
    yield from _unread(view, "refused")


def _unread(view, wanted):
    for i, layer in created(view):
        for kind, path, words in layer.unread():
            if kind == wanted:
                yield i, words, *path


def param_on_nothing(view):
    """More `param` entries than there are learnable blobs: lr_mult on nothing."""
    for i, layer in enumerate(view.layers):
        built = view.built[i].layer
        if built is None or len(layer.param) <= len(built.blobs):
            continue
        count = len(built.blobs)
        has = f"only {count} learnable blobs" if count > 1 else "no learnable blobs"
        if count == 1:
            has = f"only one learnable blob, {built.blob_names[0]}"
        yield i, f"has {len(layer.param)} param entries, but {has}", "param", count
