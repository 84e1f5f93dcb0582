"""Pictures by the names that PIL had before Pillow: `import Image` finds PIL.Image."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _OldPil(MetaPathFinder, Loader):
    """Finds Image, ImageDraw and so on, where nobody else has modules of these names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or not re.fullmatch(r"Image([A-Z]\w*)?", fullname):
            return None
        known = importlib.util.find_spec(f"PIL.{fullname}") is not None
        return ModuleSpec(fullname, self) if known else None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(f"PIL.{module.__name__}")


def install() -> None:
    """Let this process find them."""
    if not any(isinstance(finder, _OldPil) for finder in sys.meta_path):
        sys.meta_path.append(_OldPil())
