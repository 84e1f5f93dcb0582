"""Draw docs/pages/digit-scenes.jpg: the first twenty scenes of digit-scenes, with their boxes.

python tools/draw_scenes.py [OUT.jpg]
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from caffelite.data.made import maker  # noqa: E402

COLUMNS, ROWS, GAP = 5, 4, 4
SIDE, ZOOM = 128, 1.5


def main(out=ROOT / "docs" / "pages" / "digit-scenes.jpg"):
    scenes = maker("digit-scenes").parts(count=2500, digits=6, size=SIDE, which=0)["train"]
    side = round(SIDE * ZOOM)
    step = side + GAP
    canvas = Image.new("RGB", (COLUMNS * step - GAP, ROWS * step - GAP), "white")
    for number in range(COLUMNS * ROWS):
        scene, random = scenes.scene(number)
        picture = Image.fromarray(scene.painted(random)[::-1].transpose(1, 2, 0))
        tile = picture.resize((side, side), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(tile)
        for digit in scene.digits:
            corners = [round(place * ZOOM) for place in digit.box]
            draw.rectangle(corners, outline="black" if digit.difficult else "white")
        row, column = divmod(number, COLUMNS)
        canvas.paste(tile, (column * step, row * step))
    canvas.save(out, quality=88)


if __name__ == "__main__":
    main(*sys.argv[1:])
