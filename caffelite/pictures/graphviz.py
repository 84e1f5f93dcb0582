"""Graphviz text -> SVG, PNG or PDF, by `dot` on the PATH, else by the extra [draw]."""

import importlib.util
import os
import re
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


_MOST_PIXELS = 32_767  # of a side of a PNG; Graphviz shrinks to that what is larger
_EDGE = re.compile(r"^\s*(\S+) -> (\S+)", re.MULTILINE)
_BOX = re.compile(rb'\bbb="0,0,([\d.e+]+),([\d.e+]+)"')
_LEAST_RANK = 60  # pixels from a box to the one that reads it


def render(dot, kind):
    """The picture as bytes; `kind` is svg, png or pdf.

    A PNG that would be too large to be read is refused, as soon as that is clear.
    """
    if kind == "png":
        check_length(dot)
        box = _BOX.search(_run(dot, "dot"))
        _check_pixels(*(float(side) * 96 / 72 for side in box.groups()))
    return _run(dot, kind)


def check_length(dot):
    """Refuse what is too large for a PNG before it is laid out, which can take minutes."""
    ranks = {}
    for tail, head in _EDGE.findall(dot):
        ranks[head] = max(ranks.get(head, 0), ranks.get(tail, 0) + 1)
    _check_pixels(max(ranks.values(), default=0) * _LEAST_RANK)


def _check_pixels(*sides):
    longest = max(sides)
    if longest > _MOST_PIXELS:
        raise CaffeliteError(
            f"as a PNG, this net would be {longest:,.0f} pixels long or more, and {_MOST_PIXELS:,} "
            "is the most; draw it as .svg or .pdf, which can be of any size, or with --fold"
        )


def _run(dot, kind):
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
