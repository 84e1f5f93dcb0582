"""The settings of py-faster-rcnn and R-FCN, which their Python layers read beside `param_str`.

Names, defaults and what they mean are those of Girshick's lib/fast_rcnn/config.py and of R-FCN's.
"""

from __future__ import annotations

import ast
import logging
import math
from collections import UserDict
from collections.abc import Mapping
from typing import Any

from ... import reading
from ...errors import CaffeliteError, did_you_mean

log = logging.getLogger("caffelite")

_BOTH = {"SCALES": (600,), "MAX_SIZE": 1000, "BBOX_REG": True, "HAS_RPN": False,
         "PROPOSAL_METHOD": "selective_search", "RPN_NMS_THRESH": 0.7, "RPN_MIN_SIZE": 16,
         "AGNOSTIC": False}  # fmt: skip
_TRAIN = {
    "IMS_PER_BATCH": 2, "BATCH_SIZE": 128, "FG_FRACTION": 0.25, "FG_THRESH": 0.5,
    "BG_THRESH_HI": 0.5, "BG_THRESH_LO": 0.1, "USE_FLIPPED": True, "BBOX_THRESH": 0.5,
    "SNAPSHOT_ITERS": 10000, "SNAPSHOT_INFIX": "", "USE_PREFETCH": False,
    "BBOX_NORMALIZE_TARGETS": True, "BBOX_INSIDE_WEIGHTS": (1.0,) * 4,
    "BBOX_NORMALIZE_TARGETS_PRECOMPUTED": False, "BBOX_NORMALIZE_MEANS": (0.0,) * 4,
    "BBOX_NORMALIZE_STDS": (0.1, 0.1, 0.2, 0.2), "ASPECT_GROUPING": True,
    "RPN_POSITIVE_OVERLAP": 0.7, "RPN_NEGATIVE_OVERLAP": 0.3, "RPN_CLOBBER_POSITIVES": False,
    "RPN_FG_FRACTION": 0.5, "RPN_BATCHSIZE": 256, "RPN_PRE_NMS_TOP_N": 12000,
    "RPN_POST_NMS_TOP_N": 2000, "RPN_BBOX_INSIDE_WEIGHTS": (1.0,) * 4,
    "RPN_POSITIVE_WEIGHT": -1.0, "RPN_NORMALIZE_TARGETS": False,
    "SOURCE": "", "REGIONS": "", "RPN_NORMALIZE_MEANS": (0.0,) * 4,
    "RPN_NORMALIZE_STDS": (0.1, 0.1, 0.2, 0.2),
}  # fmt: skip
_TEST = {"NMS": 0.3, "SVM": False, "RPN_PRE_NMS_TOP_N": 6000, "RPN_POST_NMS_TOP_N": 300}
DEFAULTS: Mapping[str, Any] = {
    **{f"TRAIN.{name}": value for name, value in (_BOTH | _TRAIN).items()},
    **{f"TEST.{name}": value for name, value in (_BOTH | _TEST).items()},
    "PIXEL_MEANS": (102.9801, 115.9465, 122.7717),
}
_ELSEWHERE = {  # settings of theirs that nothing here reads, and where the matter is said
    "RNG_SEED": "write random_seed in the solver",
    "EXP_DIR": "write snapshot_prefix in the solver",
    **dict.fromkeys(
        ("ROOT_DIR", "DATA_DIR", "MODELS_DIR"), "paths are from where the program runs"
    ),
    **dict.fromkeys(("USE_GPU_NMS", "GPU_ID"), "there is no GPU here"),
    "MATLAB": "there is no Matlab here",
    "DEDUP_BOXES": "regions are taken as they are",
    "EPS": "no number is divided by it",
    "TRAIN.SNAPSHOT_ITERS": "write snapshot in the solver",
    "TRAIN.SNAPSHOT_INFIX": "write snapshot_prefix in the solver",
    "TRAIN.USE_PREFETCH": "a thread always reads ahead",
    "TRAIN.ASPECT_GROUPING": "pictures of a batch are as they were shuffled",
    "TRAIN.PROPOSAL_METHOD": "TRAIN.REGIONS names the database of regions",
    "TEST.PROPOSAL_METHOD": "--regions names the database of regions",
    "TEST.HAS_RPN": "the net's inputs tell whether it proposes regions",
}


class Settings(UserDict[str, Any]):
    """{"TRAIN.NAME" or "TEST.NAME": value}; layers read them when they are made.

    There are those of the defaults, and no others; a value is one of the same kind.
    """

    def __setitem__(self, name: str, value: Any) -> None:
        name = name.replace(".AGONISTIC", ".AGNOSTIC")  # as R-FCN's older files have it
        if name not in DEFAULTS:
            raise CaffeliteError(f"there is no setting {name}{did_you_mean(name, DEFAULTS)}")
        wanted = DEFAULTS[name]
        if isinstance(wanted, tuple) and isinstance(value, (list, tuple)):
            fits = len(value) == len(wanted) or name.endswith("SCALES")
            fits = fits and all(_fits(number, wanted[0]) for number in value)
        else:
            fits = _fits(value, wanted)
        if not fits:
            raise CaffeliteError(f"{name} is {value!r}, expected a value such as {wanted!r}")
        if name in _ELSEWHERE and value != wanted:
            log.info("%s does nothing here: %s", name, _ELSEWHERE[name])
        super().__setitem__(name, value)

    def read(self, path: str) -> None:
        """Take over what a YAML file of theirs says, all of it or nothing."""
        found = reading.yaml_mapping(reading.text(path), path)
        if found is None:
            raise CaffeliteError(f"{path}: expected settings, such as TRAIN: {{HAS_RPN: true}}")
        wanted = Settings(self.data)
        try:
            for name, value in found.items():
                wanted._take(str(name), value)
        except CaffeliteError as problem:
            raise CaffeliteError(f"{path}: {problem}") from None
        self.data = wanted.data

    def assign(self, words: str) -> None:
        """NAME=VALUE, the value as Python writes it; what is no such value is a text."""
        name, _, text = words.partition("=")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = text
        self[name] = value

    def _take(self, name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for inner, one in value.items():
                self._take(f"{name}.{inner}", one)
        elif name in _ELSEWHERE and name not in DEFAULTS:
            log.info("%s does nothing here: %s", name, _ELSEWHERE[name])
        else:
            while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
                value = value[0]  # PIXEL_MEANS is an array of three axes
            self[name] = value

    def reset(self) -> None:
        """Back to the defaults."""
        self.data = dict(DEFAULTS)


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, float):
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is type(wanted)


rcnn_settings = Settings(DEFAULTS)
