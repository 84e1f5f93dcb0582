"""Tell what changed from one net to another, or from one solver to another.

    caffelite diff old.prototxt new.prototxt

Layers are matched by name, and by what they are where they have been renamed. "-" is a layer that
was removed, "+" one that was added, "~" one that changed or moved. A field that only says what is
so without it is no difference, and neither is the old form of a file.
"""

from ..errors import CaffeliteError
from ..json_text import json_text
from ._color import paint

_SIGNS = {"removed": ("-", "red"), "added": ("+", "green")}
_OTHERS = ("~", "yellow")

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("old", metavar="OLD", help="a net's or a solver's prototxt")
    flag("new", metavar="NEW", help="another")
    flag("--exit-code", action="store_true", help="exit with 1 if they differ")
    flag("--json", action="store_true", help="print JSON")


def run(args):
    from ..proto.diff import compare

    changes = compare(*_read(args.old, args.new))
    if args.json:
        print(json_text([vars(change) for change in changes], indent=1))
    else:
        for change in changes:
            print("\n".join(_lines(change)))
        print(_total(changes))
    return 1 if changes and args.exit_code else 0


def _read(*paths):
    """The messages of two files of one kind, in today's form."""
    from ..proto import caffe_pb2, text
    from ..proto.upgrade import upgrade_net, upgrade_solver

    texts = [text.read_text(path, caffe_pb2.NetParameter) for path in paths]  # of pipes, but once
    kinds = [text.likely_class(one) for one in texts]
    if kinds[0] is not kinds[1]:
        words = ["a net" if kind is caffe_pb2.NetParameter else "a solver" for kind in kinds]
        raise CaffeliteError(
            f"{paths[0]} is {words[0]}, {paths[1]} is {words[1]}; expected two of one kind"
        )
    upgrade = upgrade_net if kinds[0] is caffe_pb2.NetParameter else upgrade_solver
    pairs = zip(texts, paths, strict=True)
    return [upgrade(text.of_text(one, kinds[0], path), path) for one, path in pairs]


def _lines(change):
    sign, color = _SIGNS.get(change.kind, _OTHERS)
    lines = " → ".join(str(line) for line in (change.old_line, change.new_line) if line)
    named = f'layer "{change.layer}" ({change.type}), line {lines}'
    yield paint(f"{sign} {named if change.type else 'outside of layers'}", color)
    for name, (old, new) in change.fields.items():
        if change.kind == "moved":
            yield f"    moved {new}"
        elif change.kind == "changed":
            yield f"    {name}: {old or 'unset'} → {new or 'unset'}"
        elif name not in ("name", "type"):  # they are in the line above
            yield f"    {name}: {old or new}"


def _total(changes):
    kinds = [change.kind if change.type else "others" for change in changes]
    counted = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds) if kind != "others"]
    if counted:
        return f"layers: {', '.join(counted)}"
    return "no layer differs" if changes else "no difference"
