"""Options of Classifier and Detector without their names, in today's order and in those of 2014."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..net.old_calls import NO_GPU, warn

TODAY = ("mean", "input_scale", "raw_scale", "channel_swap")
AUTUMN_2014 = ("gpu", *TODAY)
SPRING_2014 = ("gpu", "mean_file", "input_scale", "channel_swap")


def sort(
    call: str, words: Sequence[Any], rest: Sequence[str], named: Mapping[str, Any]
) -> dict[str, Any]:
    """{name: value} of the options without a name, `words`, and of those that have one.

    `rest` are the names of those that follow the preprocessing, in today's order. In 2014 a truth
    about a GPU stood before them all; and before there was a raw_scale, the mean was a file.
    """
    order = (*TODAY, *rest)
    if words and isinstance(words[0], bool):
        order = (*_order_of_2014(words), *rest)
    if len(words) > len(order):
        raise TypeError(f"{call}: expected at most {', '.join(order)}, but got {len(words)} values")
    found = dict(zip(order, words, strict=False))
    for name, value in named.items():
        if value is not None:
            if name in found:
                raise TypeError(f"{call}: got {name} twice")
            found[name] = value
    gpu, file = found.pop("gpu", None), found.pop("mean_file", None)
    if gpu is not None:
        warn(
            f"{call}(gpu=...)", f"use caffe.set_mode_gpu(); {NO_GPU}" if gpu else "leave it out", 2
        )
    if file is not None:
        warn(f"{call}(mean_file=...)", "give the array, as mean", 2)
        found["mean"] = os.fspath(file)
    return found


def _order_of_2014(words: Sequence[Any]) -> Sequence[str]:
    has_file = len(words) > 1 and isinstance(words[1], (str, os.PathLike))
    swaps_third = len(words) > 3 and isinstance(words[3], (tuple, list))
    return SPRING_2014 if has_file or swaps_third else AUTUMN_2014
