"""Rules on options that do nothing."""

from ...net.net import unread
from . import rule


@rule(advice=True)
def foreign_options(net):
    """The options of another type."""
    yield from _unread(net, "foreign")


@rule(advice=True)
def ignored_option(net):
    """An option that changes nothing."""
    yield from _unread(net, "ignored", "passed")
    for path, words in unread(net.param):
        yield None, words, *path


@rule()
def refused_option(net):
    """An option that the type, or this program, does not have."""
    yield from _unread(net, "refused")


def _unread(net, *wanted):
    for i, layer in net.known_layers():
        for kind, path, words in layer.unread():
            if kind in wanted:
                yield i, words, *path


@rule()
def param_on_nothing(net):
    """More `param` entries than there are learnable blobs: lr_mult on nothing."""
    for i, layer in enumerate(net.layers):
        built = net.built[i].layer
        if built is None or len(layer.param) <= len(built.blobs):
            continue
        count = len(built.blobs)
        has = f"only {count} learnable blobs" if count > 1 else "no learnable blobs"
        if count == 1:
            has = f"only one learnable blob, {built.blob_names[0]}"
        yield i, f"has {len(layer.param)} param entries, but {has}", "param", count
