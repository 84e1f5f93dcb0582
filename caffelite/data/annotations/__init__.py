"""Annotations: files that say what is where on pictures, in the forms that people have.

`annotation.py` has what all forms come to, and makes Boxes of it. A form is a file: `voc.py`,
`coco.py`, `yolo.py`, and `per_picture.py` for those of SSD's convert_annoset. Each has
`is_one(path)`, for data sets, and `read(path, root)`, which gives a Collection. `build.py` makes
databases of one.
"""

import importlib
import os

from ...errors import DataError

FORMS = ("voc", "coco", "yolo")


def form_of(path):
    """The form of the data set that a path names, one of FORMS, or None."""
    if not os.path.exists(path):
        return None
    return next((form for form in FORMS if _module(form).is_one(path)), None)


def read(path, form=None, root=None):
    """The Collection of the data set at a path; `root` is the folder of its pictures."""
    form = form or form_of(path)
    if form is None:
        raise DataError(f"{path}: holds no boxes in a form that is known: {', '.join(FORMS)}")
    return _module(form).read(path, root)


def _module(form):
    return importlib.import_module(f"{__name__}.{form}")
