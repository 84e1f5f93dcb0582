"""Programs of our own for the Python scripts of Caffe's repository, with their arguments.

A script is recognised by its name and by words that stand in it. One file here is one program, of
that name, with `main(words)`; parse_log is a command of caffelite with the same arguments.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ....types import Path
from .. import python2


@dataclass
class Known:
    """A script of Caffe's repository.

    name : of the file
    marks : words that stand in it, whichever version it is
    needs : modules that it needs and we do without
    beside : a script that it imports from its folder
    command : what to call caffelite with, before the script's arguments; none: its program is here
    """

    name: str
    marks: Sequence[str]
    needs: Sequence[str] = ()
    beside: str = ""
    command: Sequence[str] = ()
    reason: str = ""

    @property
    def program(self) -> Callable[[Sequence[str]], object]:
        """main(words) of our own program."""
        main: Callable[[Sequence[str]], object]
        main = importlib.import_module(f".{self.name}", __name__).main
        return main


SCRIPTS = (
    Known("classify", ["caffe.Classifier", "--center_only", "--images_dim"]),
    Known("detect", ["caffe.Detector", "--crop_mode", "--context_pad"]),
    Known("draw_net", ["caffe.draw", "input_net_proto_file", "output_image_file"]),
    Known("train", ["caffe.NCCL", "--gpus", "--solver"], needs=["nccl"]),
    Known(
        "parse_log",
        ["NumIters", "LearningRate", "extract_seconds"],
        beside="extract_seconds.py",
        command=["parse_log"],
    ),
    Known("extract_seconds", ["extract_datetime_from_line", "Solving"]),
    Known("summarize", ["summarize_net", "print_table"]),
    Known("resize_and_crop_images", ["mincepie", "output_side_length"], needs=["mincepie"]),
    Known("download_model_binary", ["caffemodel_url", "frontmatter"]),
    Known("assemble_data", ["flickr_style", "MISSING_IMAGE_SHA1"], needs=["skimage", "pandas"]),
)


def of_script(path: Path, text: str) -> Known | None:
    """The script of Caffe's that this is and that does not run by itself, with the `reason`."""
    name = os.path.splitext(os.path.basename(path))[0]
    for known in SCRIPTS:
        if known.name == name and all(mark in text for mark in known.marks):
            missing = [module for module in known.needs if importlib.util.find_spec(module) is None]
            if python2.uses(text) or _uses_python2(known.beside, path):
                known.reason = "is a script of Caffe's in Python 2"
            elif missing:
                known.reason = f"is a script of Caffe's that needs {', '.join(missing)}"
            return known if known.reason else None
    return None


def _uses_python2(name: str, script: Path) -> bool:
    beside = os.path.join(os.path.dirname(script), name)
    return bool(name) and os.path.isfile(beside) and python2.uses(python2.source(beside))
