"""Print the catalogue of layer types, or all about one.

caffelite layers
caffelite layers Pooling
caffelite layers --markdown
caffelite layers --import my_layers.py

Those that --import and installed packages bring along stand under the names of their modules.
"""

import inspect
import sys

from ..errors import did_you_mean
from ..json_text import json_text
from ._flags import UsageError


def add_arguments(parser):
    parser.add_argument("type", nargs="?", metavar="TYPE", help="a layer type, as in a prototxt")
    parser.add_argument("--markdown", action="store_true", help="the catalogue as a table")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args):
    from .. import own_code
    from ..layers import layer_types

    own_code.look_for_more()
    types = layer_types()
    if args.type and args.markdown:
        raise UsageError("--markdown is for the whole catalogue, without TYPE")
    if args.type and args.type not in types:
        raise UsageError(f'unknown layer type "{args.type}"{did_you_mean(args.type, types)}')
    if args.json:
        wanted = [args.type] if args.type else types
        print(json_text({name: _facts(types[name]) for name in wanted}, indent=1))
        return 0
    if args.markdown:
        lines = _table(types)
    else:
        lines = _one(args.type, types) if args.type else _catalogue(types)
    print("\n".join(lines))
    return 0


def _catalogue(types):
    """All types with the first line of their docstrings, under headings: see `_folders`."""
    width = max(map(len, types))
    for folder, names in _folders(types):
        yield f"{folder.rpartition('.')[2]}: {_sentence(sys.modules[folder])}".rstrip(": ")
        for name in names:
            yield f"  {name:<{width}}  {_sentence(types[name])}"
        yield ""
    yield '"caffelite layers TYPE" tells all about one.'


def _table(types):
    """The catalogue as a table in Markdown."""
    yield "| folder | type | what it computes |"
    yield "|---|---|---|"
    for folder, names in _folders(types):
        for name in names:
            sentence = _sentence(types[name]).replace("|", r"\|")
            yield f"| {folder.rpartition('.')[2]} | {name} | {sentence} |"


def _folders(types):
    """Pairs of a folder, as a package, and the names of the types in it, sorted; users' last."""
    folders = {}
    for name, layer in types.items():
        folders.setdefault(_folder(layer), []).append(name)
    return sorted(folders.items(), key=lambda pair: (not _is_ours(pair[0]), pair))


def _folder(layer):
    """The package that a type is in; of a user's type, its module."""
    return layer.__module__.rpartition(".")[0] if _is_ours(layer.__module__) else layer.__module__


def _is_ours(module):
    return module.startswith("caffelite.")


def _sentence(thing):
    """The first paragraph of a docstring, as one line."""
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def _facts(layer):
    """What a program may want to know of a type."""
    from ..proto.fields import kind

    options = layer.options_field
    return {
        "folder": _folder(layer).rpartition(".")[2],
        "computes": _sentence(layer),
        "about": inspect.getdoc(layer),
        "options": options,
        "fields": {field.name: kind(field) for field in _message(options).fields}
        if options
        else {},
    }


def _one(name, types):
    layer = types[name]
    yield f'layer {{ type: "{name}" }}'
    yield ""
    yield inspect.getdoc(layer) or ""
    if layer.options_field:
        yield ""
        yield from _fields(layer.options_field)


def _message(options_field):
    from ..proto import caffe_pb2

    return caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name[options_field].message_type


def _fields(options_field):
    """The fields of an option message, as the schema has them."""
    from ..proto.fields import kind

    message = _message(options_field)
    yield f"{options_field} {{"
    width = max((len(field.name) for field in message.fields), default=0) + 1
    for field in message.fields:
        yield f"  {field.name + ':':<{width}} {kind(field)}"
    yield "}"
