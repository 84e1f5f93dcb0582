"""Draw models/transforms.png: what each option of transform_param does to a picture.

python tools/draw_transforms.py [OUT.png]
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from caffelite import rng  # noqa: E402
from caffelite.data.transform import DataTransformer  # noqa: E402
from caffelite.proto.caffe_pb2 import TransformationParameter  # noqa: E402

SIZE, GAP, TEXT = 72, 4, 14  # of a picture, between pictures, and for a line of text, in pixels
SAMPLES, COLUMNS = 5, 2
WHOLE = [  # options drawn on the whole picture
    "",
    "mirror: true",
    "mirror_vertical: true",
    "warp_param { rotation: 30 }",
    "warp_param { shear: 25 }",
    "warp_param { shift: 0.25 }",
    "warp_param { local: 120 local_sigma: 6 }",
    "distort_param { brightness_prob: 1 brightness_delta: 64 }",
    "distort_param { contrast_prob: 1 contrast_lower: 0.5 contrast_upper: 1.5 }",
    "distort_param { saturation_prob: 1 saturation_upper: 2 }",
    "distort_param { hue_prob: 1 hue_delta: 40 }",
    "distort_param { random_order_prob: 1 }",
    "lighting_param { std: 0.5 }",
    "color_shift: 20",
    "noise_std: 25",
]
CROPPED = [  # options drawn with crop_size
    "",
    "random_resize_param { min_size: 72 max_size: 160 }",
    "random_aspect_ratio_param { min_area_ratio: 0.08 aspect_ratio_change: 0.866 }",
]
TESTED = ["ten_crop: true", "test_size: [72, 96, 128, 160]"]  # in TEST, with crop_size


def scene(size=104):
    """A picture in which up, left, straight and colors are easy to tell: a uint8 array, BGR."""
    scale = 4  # drawn larger, for smooth edges
    at = np.linspace(0, 1, size * scale)[:, None, None]
    sky = (1 - at) * [70, 130, 220] + at * [215, 235, 250]
    picture = Image.fromarray(np.broadcast_to(sky, (*sky.shape[:1], len(at), 3)).astype(np.uint8))
    draw = ImageDraw.Draw(picture)

    def points(*numbers):
        return [number * scale * size / 128 for number in numbers]

    draw.ellipse(points(92, 10, 116, 34), (250, 200, 40))
    draw.ellipse(points(-40, 84, 90, 190), (110, 165, 80))
    draw.rectangle(points(0, 104, 128, 128), (80, 140, 60))
    draw.rectangle(points(26, 60, 76, 106), (235, 225, 205))
    draw.polygon(points(20, 62, 51, 32, 82, 62), (180, 60, 45))
    draw.rectangle(points(44, 80, 56, 106), (110, 70, 45))
    for left in (31, 61):
        draw.rectangle(points(left, 68, left + 10, 78), (90, 150, 190))
        draw.line(points(left + 5, 68, left + 5, 78), (250, 250, 250), scale)
        draw.line(points(left, 73, left + 10, 73), (250, 250, 250), scale)
    draw.rectangle(points(102, 76, 107, 108), (105, 75, 50))
    draw.ellipse(points(90, 50, 119, 84), (45, 110, 55))
    for left in range(8, 128, 12):
        draw.ellipse(points(left, 112, left + 4, 116), (220, 60, 140))
    draw.line(points(0, 121, 128, 121), (240, 240, 240), 2 * scale)
    small = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(small)[:, :, ::-1].transpose(2, 0, 1))


def pca(folder, picture):
    """The file of the picture's principal colors."""
    values, vectors = np.linalg.eigh(np.cov(picture.reshape(3, -1)))
    path = folder / "statistics.json"
    path.write_text(json.dumps({"eigenvalues": values.tolist(), "eigenvectors": vectors.tolist()}))
    return path


def samples(text, train, picture, pca_file):
    """What becomes of the picture, several times: red, green, blue, one behind the other."""
    param = text_format.Parse(text, TransformationParameter())
    if param.HasField("lighting_param"):
        param.lighting_param.pca_file = str(pca_file)
    transformer = DataTransformer(param, train)
    shown = []
    for k in range(SAMPLES if transformer.crops_per_sample == 1 else 1):
        images = transformer.prepare(picture, rng.generator(7, 5, k))
        shape = transformer.output_shape(images[0].shape)
        out = np.empty((transformer.crops_per_sample, *shape), np.float32)
        transformer.transform(images, rng.generator(7, 0, k), out)
        for sample in out:
            transformer.finish(sample, rng.generator(7, 6, k))
        shown.extend(out.clip(0, 255).astype(np.uint8)[:, ::-1].transpose(0, 2, 3, 1))
    return shown


def sheet(rows):
    """A picture of [(title, [pictures])], in columns."""
    lines = [
        (title if first == 0 else "", pictures[first : first + SAMPLES])
        for title, pictures in rows
        for first in range(0, len(pictures), SAMPLES)
    ]
    height, width = SIZE + TEXT + GAP, SAMPLES * (SIZE + GAP) + 2 * GAP
    down = -(-len(lines) // COLUMNS)
    canvas = Image.new("RGB", (COLUMNS * width, down * height + GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(10)
    for number, (title, pictures) in enumerate(lines):
        left, top = number // down * width + GAP, number % down * height
        draw.text((left, top + 1), title, "black", font)
        for i, pixels in enumerate(pictures):
            tile = Image.fromarray(pixels).resize((SIZE, SIZE))
            canvas.paste(tile, (left + i * (SIZE + GAP), top + TEXT))
    return canvas


def main(out=ROOT / "models" / "transforms.png"):
    picture = scene()
    crop = f"crop_size: {SIZE} "
    rows = [(text or "as it is", text, True) for text in WHOLE]
    rows += [(text or crop, crop + text, True) for text in CROPPED]
    rows += [(f"in TEST: {text}", crop + text, False) for text in TESTED]
    with tempfile.TemporaryDirectory() as folder:
        path = pca(Path(folder), picture)
        drawn = [(title, samples(text, train, picture, path)) for title, text, train in rows]
    sheet(drawn).save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
