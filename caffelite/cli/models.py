"""List the nets that caffelite brings along, or show the card of one.

caffelite models
caffelite models resnet-50
caffelite models --json

"caffelite init NAME" copies one to start from. Layers are those with weights on the longest path,
values the learnable ones, multiply-adds those of one sample's forward pass.
"""

from ..json_text import json_text
from ..table import table
from . import _zoo


def add_arguments(parser):
    parser.add_argument("name", nargs="?", metavar="NAME", help="a net, as the list has it")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args):
    names = [_zoo.known(args.name)] if args.name else _zoo.names()
    cards = {name: _zoo.card(name) for name in names}
    if args.json:
        facts = {name: facts for name, (facts, _) in cards.items()}
        print(json_text(facts[args.name] if args.name else facts, indent=1, ensure_ascii=False))
    elif args.name:
        print("\n".join(_one(*cards[args.name])))
    else:
        print("\n".join(_list(cards)))
    return 0


def _list(cards):
    header = ("net", "input", "layers", "values", "multiply-adds")
    rows = [
        (
            name,
            facts["input"].split(",")[1].strip(),
            str(facts["layers"]),
            f"{facts['learnable']:,}",
            f"{facts['multiply_adds']:,}",
        )
        for name, (facts, _) in cards.items()
    ]
    yield from table(header, rows, left=2)
    yield ""
    yield '"caffelite models NAME" tells all about one, "caffelite init NAME" copies it.'


def _one(facts, prose):
    width = max(map(len, facts)) + 1
    for name, fact in facts.items():
        yield f"{name + ':':<{width}} {f'{fact:,}' if isinstance(fact, int) else fact}"
    yield ""
    yield prose
