"""`import caffe` finds caffelite: for scripts and Python layers that are to stay as they are."""

import importlib
import sys

from ..errors import CaffeliteError

_PARTS = (
    *("", ".proto", ".proto.caffe_pb2", ".io", ".net_spec", ".classifier", ".detector"),
    *(".draw", ".coord_map", ".model_libs", ".pycaffe", "._caffe"),
)


def install_as_caffe() -> None:
    """Let `import caffe`, and the parts of it that pycaffe has, find caffelite in this process."""
    other = sys.modules.get("caffe")
    if other is not None and other is not sys.modules["caffelite"]:
        raise CaffeliteError(f"another caffe is imported already: {other}")
    for part in _PARTS:
        sys.modules["caffe" + part] = importlib.import_module("caffelite" + part)
