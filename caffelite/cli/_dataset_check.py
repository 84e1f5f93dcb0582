"""`caffelite dataset check`: run the check of a database, and print what it found."""

from ..glog import on_terminal
from ..json_text import json_text

_MOST_NAMED = 20  # faults, one by one


def run(args):
    from tqdm import tqdm

    from ..data.check import check

    report = check(
        args.database,
        lambda records, total: tqdm(
            records, args.database, total, unit=" records", leave=False, disable=not on_terminal()
        ),
    )
    facts = {
        "database": args.database,
        "kind": report.kind,
        "records": report.records,
        "pages": report.pages,
        "shapes": {" x ".join(map(str, shape)): n for shape, n in sorted(report.shapes.items())},
        "boxes": report.boxes,
        "labels": {str(label): count for label, count in sorted(report.labels.items())},
        "faults": report.faults,
    }
    print(json_text(facts) if args.json else "\n".join(_lines(facts)))
    return 1 if report.faults else 0


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
