"""Draw what makes up content and style, as strips of pictures: a row for each question.

    python tools/draw_styles.py vgg16-conv.caffemodel CONTENT STYLE OUT.png [content layers ratio]

content: what is left of the content in a shallow and in a deep layer, from noise, without a style.
layers: the style of one layer, of three, of five, from noise, with next to no content. ratio:
alpha / beta from small to large. Each picture has 128 pixels on its longest side, and comes of 60
iterations of L-BFGS.
"""

import os
import sys

import numpy as np
from PIL import Image

import caffelite
from caffelite.cli._zoo import folder
from caffelite.predict.canvas import Canvas
from caffelite.predict.preprocessing import Preprocessing
from caffelite.predict.style import STYLE_LAYERS, StyleLook

SIDE, ITERATIONS = 128, 60
MODEL = os.path.join(folder("models"), "vgg-16", "deploy.prototxt")
ROWS = {  # (layer of content, layers of style, alpha, beta, whether it starts from noise)
    "content": [(name, STYLE_LAYERS[:1], 1, 0, True) for name in ("conv1_2", "conv3_2", "conv4_2")],
    "layers": [("conv4_2", STYLE_LAYERS[:n], 1e-7, 1, True) for n in (1, 3, 5)],
    "ratio": [("conv4_2", STYLE_LAYERS, x, 1, False) for x in (2e-5, 3e-4, 5e-3)],
}


def painted(weights, canvas, content, style, where, styles, alpha, beta, noise):
    look = StyleLook(MODEL, weights, [where, *styles])
    contents = look.maps(content, [where])
    net = look.comparing(content.shape, contents, look.styles(style, styles), alpha, beta)
    random = np.random.default_rng(0).uniform(0, 255, content.shape)
    net.blobs["data"].data[0] = canvas.values(random) if noise else content
    caffelite.optimize(
        net, "data", iterations=ITERATIONS, solver="LBFGS", bounds=canvas.bounds,
    )  # fmt: skip
    return canvas.pixels(net.blobs["data"].data[0])


def main(weights, content, style, out, *rows):
    canvas = Canvas(Preprocessing.of_net(MODEL))
    content, style = (canvas.read(path, SIDE) for path in (content, style))
    strips = [
        np.concatenate(
            [painted(weights, canvas, content, style, *one) for one in ROWS[row]], axis=2
        )
        for row in rows or ROWS
    ]
    picture = np.concatenate(strips, axis=1)[::-1].transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(picture)).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
