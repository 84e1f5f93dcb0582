"""Names for types that annotations of many modules use, and yours may, too.

from caffelite.types import Array, Path, Shape
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

Path: TypeAlias = "str | os.PathLike[str]"
Shape: TypeAlias = tuple[int, ...]
Array: TypeAlias = "npt.NDArray[Any]"  # of any dtype and rank
ArrayLike: TypeAlias = "npt.ArrayLike"  # whatever np.asarray takes
DType: TypeAlias = "npt.DTypeLike"
