"""List the nets that caffelite brings along, or show the card of one.

caffelite models
caffelite models resnet-50
caffelite models --json

"caffelite init NAME" copies one to start from. Nets for one task stand together, tasks with the
smallest nets first. Layers are those with weights on the longest path, values the learnable ones,
weights the size of their file, multiply-adds those of one sample's forward pass. A net with a star
trains in a minute or two on digits that pip brings along: its card says how.
"""

from collections import defaultdict

from ..json_text import json_text
from ..table import file_size, table
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
    tasks = _by_task(cards)
    rows = [_row(name, facts) for group in tasks.values() for name, facts in group]
    header = ("net", "input", "layers", "values", "weights", "multiply-adds")
    heading, rule, *lines = table(header, rows, left=2)
    yield from (heading, rule)
    for task, group in tasks.items():
        yield from ("", task[0].upper() + task[1:], *lines[: len(group)])
        del lines[: len(group)]
    yield ""
    yield '* trains here, on digits. "caffelite models NAME" tells all about one,'
    yield '"caffelite init NAME" copies it.'


def _by_task(cards):
    """(name, facts) of the nets for each task, tasks with the smallest nets first."""
    tasks = defaultdict(list)
    for name, (facts, _) in cards.items():
        tasks[facts["task"]].append((name, facts))
    smallest = {task: min(f["learnable"] for _, f in group) for task, group in tasks.items()}
    return {task: tasks[task] for task in sorted(tasks, key=smallest.get)}


def _row(name, facts):
    return (
        f"{name} *" if "recipe" in facts else name,
        facts["input"].split(",")[1].strip(),
        str(facts["layers"]),
        f"{facts['learnable']:,}",
        file_size(4 * facts["learnable"]),
        f"{facts['multiply_adds']:,}",
    )


def _one(facts, prose):
    width = max(map(len, facts)) + 1
    for name, fact in facts.items():
        yield f"{name + ':':<{width}} {f'{fact:,}' if isinstance(fact, int) else fact}"
    yield ""
    yield prose
