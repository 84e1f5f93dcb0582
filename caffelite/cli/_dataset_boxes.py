"""`caffelite dataset` of pictures with boxes: its flag, and what is printed."""

import sys

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._dataset_pictures import layout
from ._flags import UsageError


def add_arguments(parser):
    words = "whose they are, if it does not show [voc, coco or yolo]"
    parser.add_argument("--form", choices=("voc", "coco", "yolo"), help=words)


def run(args):
    from tqdm import tqdm

    from ..data import annotations
    from ..data.annotations import build
    from ..data.datum_encoder import DatumEncoder
    from ..data.image import format_of

    for flag in ("crop", "border", "palette_indices", "mixed_sizes", "tar"):
        if getattr(args, flag):
            raise UsageError(f"--{flag.replace('_', '-')} is not for pictures with boxes")
    if args.encode:
        format_of(args.encode)
    start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    collection = annotations.read(args.source, args.form, args.root)
    report = build.build(
        collection,
        args.out,
        DatumEncoder(
            color=not args.gray,
            size=args.resize,
            encoded=True,
            kind=args.encode or "",
            alike=True,
        ),
        build.split(collection, args.test or 0, args.seed, args.shuffle),
        labels=args.labels,
        skip_bad=args.skip_bad,
        progress=lambda entries, part: tqdm(entries, part, leave=False, disable=not on_terminal()),
        layout=(parts := layout(args)),
    )
    print(json_text(report) if args.json else "\n".join(_lines(report, parts)))
    return 0


def _lines(report, parts):
    out = report["out"]
    for part, facts in report["parts"].items():
        sizes = f"{_span(facts['widths'])} x {_span(facts['heights'])}"
        counts = [_counted(facts["boxes"], "box", "boxes")]
        counts += [f"{facts[m]} {m}" for m in ("difficult", "truncated", "crowd") if facts[m]]
        if facts["without_boxes"]:
            counts.append(f"{_counted(facts['without_boxes'], 'picture', 'pictures')} without")
        pictures = _counted(facts["pictures"], "picture", "pictures")
        source = parts.source(f"{out}/{part}_lmdb")
        yield f"{source}: {pictures}, {sizes}; {', '.join(counts)}"
        if facts["boxes"]:
            yield "  classes: " + ", ".join(f"{n} {count}" for n, count in facts["classes"].items())
            yield f"  sizes, root of the area in pixels: {_quantiles(facts, 'pixels')}"
            yield f"  widths by heights: {_quantiles(facts, 'width_to_height')}"
    for kind, count in report["faults"].items():
        yield f"left out or mended: {kind}: {count}"
    values = " ".join(f"mean_value: {value:.4g}" for value in report["mean_value"])
    yield f"{out}/labelmap.prototxt, {out}/statistics.json: {values}"


def _counted(count, one, more):
    return f"{count} {one if count == 1 else more}"


def _span(bounds):
    low, high = bounds
    return str(low) if low == high else f"{low}-{high}"


def _quantiles(facts, name):
    shares = dict(zip(facts["quantiles"], facts[name], strict=True))
    return f"{shares[0]:.3g} to {shares[1]:.3g}, half of them up to {shares[0.5]:.3g}"
