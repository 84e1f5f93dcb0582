"""Selective search: what may be an object in a picture, of segments that are joined step by step.

Uijlings, van de Sande, Gevers, Smeulders 2013, doi:10.1007/s11263-013-0620-5. The work is done by
OpenCV's contributed modules.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..errors import missing_extra
from ..types import Array
from .boxes import Boxes

MODES = {"fast": "Fast", "quality": "Quality", "single": "Single"}
LEAST_SIDE = 2
"""Pixels: of less, OpenCV makes no segments."""


class Searched(NamedTuple):
    """What was found in a picture: see `regions.Picture`; `regions` are n x 4, in fractions."""

    key: bytes
    checksum: int
    boxes: Boxes | None
    regions: Array


def selective_search(values: Array, mode: str = "fast") -> Array:
    """n x 4: xmin, ymin, xmax, ymax in fractions of the sides, in the order of these numbers.

    Where nothing is found, the whole picture is a region.

    Parameters
    ----------
    values : uint8, 3 x height x width, blue, green, red
    mode : "fast" or "quality": two or several colour spaces, of segments of two or four sizes;
        "single": one of both
    """
    found: Array = np.empty((0, 4))
    search = _module().createSelectiveSearchSegmentation()
    height, width = values.shape[1:]
    if min(height, width) >= LEAST_SIDE:
        search.setBaseImage(np.ascontiguousarray(values.transpose(1, 2, 0)))
        if mode == "single":
            search.switchToSingleStrategy()
        else:
            getattr(search, f"switchToSelectiveSearch{MODES[mode]}")()
        found = np.array(search.process(), float).reshape(-1, 4)  # x, y, width, height
    if not len(found):
        return np.array([[0, 0, 1, 1]], np.float32)
    found[:, 2:] += found[:, :2]
    # OpenCV's own order is random, and depends on all that it did before.
    found = np.unique(found, axis=0)
    return np.asarray(found / [width, height, width, height], np.float32)


def _module() -> Any:
    try:
        import cv2

        found = cv2.ximgproc.segmentation
    except (ImportError, AttributeError):  # OpenCV without its contributed modules
        raise missing_extra("opencv-contrib-python-headless", "detection") from None
    cv2.setNumThreads(1)
    return found


def search_all(open_pictures: Callable[[], Any], mode: str, processes: int) -> Iterator[Searched]:
    """Search the pictures of `regions.DatabasePictures` or such, which is called in each process.

    They come in their order.
    """
    _module()
    pictures = open_pictures()
    count = len(pictures)
    if processes == 1:
        yield from (_searched(pictures, number, mode) for number in range(count))
        pictures.close()
        return
    pictures.close()
    ways = multiprocessing.get_context("spawn")
    with ways.Pool(processes, _open, (open_pictures, mode)) as pool:
        yield from pool.imap(_search, range(count), chunksize=4)


def _searched(pictures: Any, number: int, mode: str) -> Searched:
    picture = pictures.picture(number)
    found = selective_search(picture.pixels, mode)
    return Searched(picture.key, picture.checksum, picture.boxes, found)


_own: list[Any] = []  # of a process of the pool: its pictures, and the mode


def _open(open_pictures: Callable[[], Any], mode: str) -> None:
    _own[:] = [open_pictures(), mode]


def _search(number: int) -> Searched:
    pictures, mode = _own
    return _searched(pictures, number, mode)
