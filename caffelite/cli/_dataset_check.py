"""`caffelite dataset check`: run the check of a database, or of shards, and print what it found."""

from collections import Counter

from ..glog import on_terminal
from ..json_text import json_text

_MOST_NAMED = 20  # faults, one by one


def run(args, path):
    from tqdm import tqdm

    from ..data.check import check
    from ..data.shards import named

    def bar(records, total):
        return tqdm(
            records, database, total, unit=" records", leave=False, disable=not on_terminal()
        )

    found = []
    for database in named(path):
        found.append(_facts(database, check(database, bar)))
        if not args.json:
            print("\n".join(_lines(found[-1])))
    if args.json:
        print(json_text(found[0] if len(found) == 1 else {"shards": found}))
    elif len(found) > 1:
        print("\n".join(_together(path, found)))
    return 1 if any(facts["faults"] for facts in found) else 0


def _facts(path, report):
    return {
        "database": path,
        "kind": report.kind,
        "records": report.records,
        "pages": report.pages,
        "shapes": {" x ".join(map(str, shape)): n for shape, n in sorted(report.shapes.items())},
        "boxes": report.boxes,
        "labels": {str(label): count for label, count in sorted(report.labels.items())},
        "faults": report.faults,
    }


def _lines(facts):
    shapes, labels = facts["shapes"], facts["labels"]
    pages = f" in {facts['pages']} pages" if facts["pages"] else ""
    yield f"{facts['database']}: {facts['kind']}, {facts['records']} records{pages}"
    if shapes:
        sizes = next(iter(shapes)) if len(shapes) == 1 else f"{len(shapes)} sizes"
        span = f"{min(map(int, labels))} to {max(map(int, labels))}" if labels else "no boxes"
        boxes = f"{facts['boxes']} boxes; " if facts["boxes"] else ""
        yield f"pictures: {sum(shapes.values())}, {sizes}; {boxes}{len(labels)} labels, {span}"
    faults = facts["faults"]
    yield from faults[:_MOST_NAMED]
    if len(faults) > _MOST_NAMED:
        yield f"and {len(faults) - _MOST_NAMED} more faults"
    yield "damaged" if faults else "whole"


def _together(source, found):
    """What all shards have, and which of them are damaged."""
    records = sum(facts["records"] for facts in found)
    shapes = Counter()
    for facts in found:
        shapes.update(facts["shapes"])
    sizes = next(iter(shapes)) if len(shapes) == 1 else f"{len(shapes)} sizes"
    yield f"{source}: {records} records in {len(found)} shards, {sizes}"
    if damaged := [facts["database"] for facts in found if facts["faults"]]:
        yield f"damaged: {', '.join(damaged)}"
