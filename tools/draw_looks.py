"""Draw what spatial transformers look at: boxes on pictures, and beneath them what comes out.

    caffelite dataset distorted-digits --out data
    python tools/draw_looks.py models/clutter-st/deploy.prototxt \\
        snapshots/clutter-st_iter_5000.caffemodel looks.png

The pictures are the first of those for testing. Each transformer of the net has a color; its name
stands in the net's file.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

import caffelite  # noqa: E402
from caffelite.data.datum import DatumSource  # noqa: E402

ZOOM, GAP = 2, 4
COLORS = "#e6550d", "#3182bd", "#31a354", "#9e6ab8"


def looks(net):
    """[(corners (N, 4, 2) in pixels, clockwise, top's values)] of a net that ran forward."""
    found = []
    for node in net.nodes:
        if node.layer.type == "SpatialTransformer":
            y = node.top_blobs[0].data
            rows, columns = y.shape[2:]
            ends = np.array([(0, 0, 1), (0, columns, 1), (rows, columns, 1), (rows, 0, 1)], float)
            places, _ = node.layer.places(node.bottom_blobs, node.top_blobs)
            found.append(((places @ ends.T).transpose(0, 2, 1), y.copy()))
    return found


def tile(pixels, zoom=ZOOM):
    """Gray values from 0 to 1 as a picture."""
    gray = Image.fromarray((255 * pixels.clip(0, 1)).astype(np.uint8))
    return gray.resize([zoom * side for side in gray.size], Image.Resampling.NEAREST).convert("RGB")


def column(picture, seen):
    """A picture with its boxes, and what is seen in each, one below the other."""
    tiles = [tile(picture)]
    draw = ImageDraw.Draw(tiles[0])
    for (corners, values), color in zip(seen, COLORS, strict=False):
        at = [((u + 0.5) * ZOOM, (v + 0.5) * ZOOM) for v, u in corners]
        draw.line([*at, at[0]], color, 2)
        tiles.append(tile(values[0]))
        ImageDraw.Draw(tiles[-1]).rectangle([0, 0, tiles[-1].width - 1, tiles[-1].height - 1],
                                            outline=color, width=2)  # fmt: skip
    return tiles


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("model", help="deploy net"), flag("weights"), flag("out")
    flag("--database", default="data/distorted_test_lmdb", help="[data/distorted_test_lmdb]")
    flag("--count", type=int, default=10, help="pictures [10]")
    args = parser.parse_args(argv)
    source = DatumSource(args.database)
    pictures = np.stack([source.sample(number)[0] for number in range(args.count)]) / 256
    net = caffelite.Net(args.model, caffelite.TEST, weights=args.weights)
    net.blobs["data"].reshape(*pictures.shape)
    net.blobs["data"].data[...] = pictures
    net.forward()
    seen = looks(net)
    if not seen:
        parser.error(f"{args.model} has no SpatialTransformer")
    columns = [
        column(pictures[n, 0], [(corners[n], values[n]) for corners, values in seen])
        for n in range(args.count)
    ]
    width = max(each.width for each in columns[0]) + GAP
    height = sum(each.height + GAP for each in columns[0])
    canvas = Image.new("RGB", (width * args.count - GAP, height - GAP), "white")
    for n, tiles in enumerate(columns):
        top = 0
        for each in tiles:
            canvas.paste(each, (n * width + (width - GAP - each.width) // 2, top))
            top += each.height + GAP
    canvas.save(args.out)


if __name__ == "__main__":
    main()
