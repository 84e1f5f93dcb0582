"""Draw docs/pages/segmentation-digits.png: scenes for testing, and what nets say of their pixels.

    caffelite dataset digit-scenes --out data
    python tools/draw_scene_pixels.py fcn-8s-digits=FILE.caffemodel unet-digits=FILE.caffemodel

A row is a net of models/: a scene, its labels and the net's, each in a color of its own, for the
first scenes for testing.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

import caffelite  # noqa: E402
from caffelite.models.scenes import PIXELS  # noqa: E402
from caffelite.pictures.palette import color_of  # noqa: E402

SIDE, GAP, BLOCK = 128, 2, 10  # of a picture, between pictures, and between scenes, in pixels


def row(name, weights, scenes, stage):
    """The first `scenes`, their labels and a net's labels, side by side: (128, width, 3)."""
    file = str(ROOT / "models" / name / "train_val.prototxt")
    net = caffelite.Net(file, phase=caffelite.TEST, stages=stage, weights=weights)
    net.forward()
    (loss,) = (node for node in net.nodes if node.layer.type == "SoftmaxWithLoss")
    scores, labels = (net.blobs[blob].data for blob in loss.bottom_names)
    pictures = net.blobs["data"].data / PIXELS["scale"] + PIXELS["mean_value"][0]
    tiles = []
    for number in range(scenes):
        picture = np.clip(np.rint(pictures[number, ::-1]), 0, 255).transpose(1, 2, 0)
        told = (labels[number, 0].astype(int), scores[number].argmax(axis=0))
        tiles += [picture, gap(GAP), color_of(told[0]), gap(GAP), color_of(told[1]), gap(BLOCK)]
    return np.concatenate(tiles[:-1], axis=1).astype(np.uint8)


def gap(width):
    return np.full((SIDE, width, 3), 255, np.uint8)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("nets", nargs="+", metavar="NET[:STAGE]=WEIGHTS", help="with a stage: ink, outlines")
    flag("--scenes", type=int, default=3, metavar="N")
    flag("--out", default=ROOT / "docs" / "pages" / "segmentation-digits.png", metavar="FILE")
    args = parser.parse_args(argv)
    rows = []
    for each in args.nets:
        what, weights = each.split("=")
        name, *stage = what.split(":")
        strip = row(name, weights, args.scenes, stage)
        rows += [strip, np.full((GAP, strip.shape[1], 3), 255, np.uint8)]
    Image.fromarray(np.concatenate(rows[:-1])).quantize(255).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
