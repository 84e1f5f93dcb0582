from functools import partial

from caffelite.testing import case

from ..reference import detection as ref

MAP, PICTURE = (2, 3, 4, 5), (2, 1, 40, 60)


def prior_box(fields, error=None, **expected):
    case(
        "PriorBox",
        [MAP, PICTURE],
        f"prior_box_param {{ {fields} }}",
        expect=None if error else partial(ref.prior_box, **expected),
        error=error,
        gradient=False,
    )


prior_box("min_size: 12", min_size=[12])
prior_box(
    "min_size: 12.9 min_size: 20 max_size: 21.9 max_size: 33 aspect_ratio: 2 aspect_ratio: 0.5 "
    "aspect_ratio: 3 aspect_ratio: 1",  # half is there as the other side of 2
    min_size=[12, 20],
    max_size=[21, 33],
    ratios=[2, 0.5, 3, 1 / 3],
)
prior_box(
    "min_size: 30 aspect_ratio: 2 flip: false clip: true variance: 0.1 variance: 0.1 variance: 0.2 "
    "variance: 0.4",
    min_size=[30],
    ratios=[2],
    clip=True,
    variance=[0.1, 0.1, 0.2, 0.4],
)
prior_box(
    "min_size: 12 step_h: 8 step_w: 11 offset: 0.25 img_h: 50 img_w: 64 variance: 0.3",
    min_size=[12],
    step=(8, 11),
    offset=0.25,
    size=(50, 64),
    variance=[0.3] * 4,
)
for fields, error in (
    ("", "min_size is missing"),
    ("min_size: 0.5", "min_size is 0.5, expected at least 1 pixel"),
    ("min_size: 9 min_size: 4 max_size: 12", "has 1 max_size, expected none, or one for each"),
    ("min_size: 9 max_size: 9", "max_size is 9, expected more than min_size 9"),
    ("min_size: 9 variance: 1 variance: 2", "variance is 1, 2, expected one number above 0, or"),
    ("min_size: 9 variance: 0", "variance is 0, expected one number above 0, or four"),
    ("min_size: 9 aspect_ratio: -1", "aspect_ratio is -1, expected numbers above 0"),
    ("min_size: 9 img_size: 9 img_h: 4", "has img_size and img_h, expected one of the two forms"),
    ("min_size: 9 img_h: 4", "has img_h alone; write img_w, too, or img_size for both"),
    ("min_size: 9 step_w: 4", "has step_w alone; write step_h, too, or step for both"),
    ("min_size: 9 step: 0", "step is 0, expected a number above 0"),
):
    prior_box(fields, error)
for shapes, error in (
    ([(2, 3, 4), PICTURE], '"x0" has shape (2, 3, 4), expected (N, C, height, width)'),
    ([MAP, (2, 3)], '"x1" has shape (2, 3), expected (N, C, height, width)'),
):
    case("PriorBox", shapes, "prior_box_param { min_size: 9 }", error=error)
