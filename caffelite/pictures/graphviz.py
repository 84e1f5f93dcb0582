"""Graphviz text -> SVG, PNG or PDF, by `dot` on the PATH, else by the extra [draw]."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile

from ..errors import CaffeliteError

_BY_PYGRAPHVIZ = """\
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
"""

_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
</fontconfig>
"""


def render(dot, kind):
    """The picture as bytes; `kind` is svg, png or pdf."""
    if shutil.which("dot"):
        command = ["dot", f"-T{kind}"]
    elif importlib.util.find_spec("pygraphviz"):
        command = [sys.executable, "-c", _BY_PYGRAPHVIZ, kind]
    else:
        raise CaffeliteError(
            "Graphviz is not installed: neither dot on the PATH nor the package pygraphviz, which "
            "comes with: pip install 'caffelite[draw]'. An OUT that ends in .dot needs neither"
        )
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, input=dot.encode(), capture_output=True, env=_environment(folder), check=False
        )
    if done.returncode or not done.stdout:
        problem = done.stderr.decode(errors="replace").strip()
        raise CaffeliteError(f"Graphviz could not draw this net as {kind}: {problem}")
    return done.stdout


def _environment(folder):
    """That of this process; on Linux with a font of the extra [draw], as containers have none."""
    found = importlib.util.find_spec("fontpkg_pt_sans")
    if not found or sys.platform != "linux" or "FONTCONFIG_FILE" in os.environ:
        return None
    fonts = os.path.join(found.submodule_search_locations[0], "files")
    config = os.path.join(folder, "fonts.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(_FONTS.format(fonts=fonts, cache=os.path.join(folder, "cache")))
    return {**os.environ, "FONTCONFIG_FILE": config}
