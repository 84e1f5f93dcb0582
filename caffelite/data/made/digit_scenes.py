"""scenes of 1 to 6 digits of mnist-5k in color: boxes, labels, sentences

A scene is 128 x 128, if --size says nothing else, with one to six digits, or up to as many as
--digits says; 2,500 are for training, or --count, and a fifth of that, with other digits, for
testing. Digits are 12 pixels high, or --smallest, to half the side, low ones more often (the
logarithm of the height is uniform). Two to four textures are the background. A digit has one color,
which differs from each pixel under it by 0.35 to 0.6 of the range, in the channel where it differs
most. A fifth of the digits is partly hidden, each to 10 to 60 %: cut off by the edge, under a
patch, or under the next digit; of the others less than 10 % is. A digit of which less than 60 % can
be seen is difficult.

It becomes, for PART train and test:

  OUT/scenes_PART_lmdb            AnnotatedDatums: PNG files, and boxes, which end where a digit can
                                  be seen to end, as VOC's do; label 1 is the digit 0, 10 is 9
  OUT/scenes_PART_ink_lmdb        label pictures: the label of the digit whose ink is seen, or 0
  OUT/scenes_PART_outlines_lmdb   ... of the digit whose outline, its convex hull, a pixel is in
  OUT/scenes_PART_captions.txt    "a 3 at the top left , a 7 at the middle right .": a line a scene,
                                  digits in reading order, by the thirds in which their boxes lie
  OUT/scenes_PART_questions.txt   "what is at the top left ? 3": six lines a scene, each with a
                                  question and its answer
  OUT/scenes_PART_digits.csv      a line a digit: its scene, its record in OUT/mnist_PART_lmdb, its
                                  height, its box in pixels, and the share that can be seen
  OUT/scenes_labelmap.prototxt    the names of the labels

All are the same ones always; --which gives others. The first scenes do not depend on --count. They
need the extra [demo].
"""

from . import Option

OPTIONS = {
    "count": Option("scenes for training", int, default=2500, least=1, most=100_000),
    "digits": Option("most digits in a scene", int, default=6, least=1, most=20),
    "size": Option("height and width of a scene", int, default=128, least=32, most=1024),
    "smallest": Option("height of the lowest digits", int, default=12, least=8, most=512),
    "which": Option("other pictures of the same kind", int, default=0, most=10**9),
}
WHAT = "scenes"
FAMILY = "scenes"
PARTS = tuple(f"{part}{kind}" for part in ("train", "test") for kind in ("", "_ink", "_outlines"))


def parts(count, digits, size, which, smallest=12):
    """{"train": source, "test": source, ...}; a sample is (pixels, how many digits there are)."""
    from ._scenes import Scene, SceneLabels, scenes

    found = scenes(count, digits, size, which, smallest)
    labels = {"ink": Scene.ink_labels, "outlines": Scene.outline_labels}
    return found | {
        f"{part}_{kind}": SceneLabels(source, labels_of)
        for part, source in found.items()
        for kind, labels_of in labels.items()
    }


def files(parts):
    """{name: chunks of bytes} of what stands beside the databases."""
    from ..label_map import label_map_text

    found = {"labelmap.prototxt": [label_map_text("0123456789").encode()]}
    for part in ("train", "test"):
        found[f"{part}_captions.txt"] = _captions(parts[part])
        found[f"{part}_questions.txt"] = _questions(parts[part])
        found[f"{part}_digits.csv"] = _digits(parts[part])
    return found


def _captions(scenes):
    for number in range(len(scenes)):
        yield f"{scenes.scene(number)[0].caption()}\n".encode()


def _questions(scenes):
    from ._questions import questions

    for number in range(len(scenes)):
        for line in questions(scenes.scene(number)[0], scenes.random(number, 1)):
            yield f"{line}\n".encode()


def _digits(scenes):
    yield b"scene,digit,record,height,left,top,right,bottom,visible,difficult\n"
    for number in range(len(scenes)):
        for digit in scenes.scene(number)[0].digits:
            facts = (
                *(number, digit.number, digit.index, len(digit.ink), *digit.box),
                *(f"{digit.visible:.4f}", int(digit.difficult)),
            )
            yield (",".join(map(str, facts)) + "\n").encode()
