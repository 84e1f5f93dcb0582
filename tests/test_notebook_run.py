"""caffelite run: notebooks, without Jupyter."""

import importlib.machinery
import json
import os
import re
import sys
import types
from pathlib import Path

import pytest
from PIL import Image

from caffelite.cli import main
from caffelite.net.old_calls import OldCall
from caffelite.pycaffe.scripts.magics import as_python


def write(path, *cells, **more):
    listed = [{"cell_type": "markdown", "source": ["# not code"]}]
    listed += [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    Path(path).write_text(json.dumps({"nbformat": 4, "cells": listed, **more}))


@pytest.fixture(autouse=True)
def folder(folder_of_a_run):
    return folder_of_a_run


def test_cells_run_in_one_namespace_and_show_their_last_value(capsys):
    write("a.ipynb", "x = 2", "x + 1", "x;", "None", "print(_, Out, __name__)")
    assert main(["run", "a.ipynb"]) == 0
    assert capsys.readouterr().out == "3\n2 {2: 3, 3: 2} __main__\n"


def test_a_notebook_is_known_by_its_content(capsys):
    write("downloaded.json", "print(7)")
    assert main(["run", "downloaded.json"]) == 0
    assert capsys.readouterr().out == "7\n"


def test_a_notebook_before_2015(capsys):
    cells = [{"cell_type": "code", "input": ["import caffe\n", "caffe.TEST"]}]
    Path("old.ipynb").write_text(json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}))
    assert main(["run", "old.ipynb"]) == 0
    assert capsys.readouterr().out == "1\n"


def test_it_runs_in_its_own_folder_with_its_words(capsys):
    os.mkdir("examples")
    Path("examples/beside.py").write_text("value = 7\n")
    write("examples/a.ipynb", "import os, sys, beside\n(os.listdir(), sys.argv[1:], beside.value)")
    assert main(["run", "examples/a.ipynb", "-x", "1"]) == 0
    out = capsys.readouterr().out
    assert "'a.ipynb'" in out and out.endswith("['-x', '1'], 7)\n")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("x = 1\n1 / 0", "a.ipynb: cell 2, line 2: ZeroDivisionError: division by zero"),
        ("def f():\n    g()\n\n!true\nf()", "cell 2, line 2: NameError: name 'g'"),
        ("%time 1 / 0", "cell 2, line 1: ZeroDivisionError"),
        ("x = 1\n\n%time 1 / 0", "cell 2, line 3: ZeroDivisionError"),
        ("%%time\nx = 1\n1 / 0", "cell 2, line 3: ZeroDivisionError"),
        ("import caffe\ncaffe.Net('n', 1)", "cell 2, line 2: ProtoError: n: no such file"),
        ("x = (1", "cell 2, line 1: '(' was never closed"),
        ("x = 1\nexec 'x'", "cell 2, line 2: this is Python 2 (an exec without parentheses"),
        ("{}.iteritems()", "cell 2, line 1: this is Python 2 (iteritems)"),
        ("import cPickle", "cell 2, line 1: this is Python 2 (cPickle)"),
    ],
)
def test_mistakes_name_cell_and_line(cell, said, capsys):
    write("a.ipynb", "1", cell, "print('beyond')")
    assert main(["run", "a.ipynb"]) == 1
    out, err = capsys.readouterr()
    assert said in err and "beyond" not in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "expected a Jupyter notebook"),
        ("{}", "with a list of cells"),
        ('{"cells": [1]}', "with a list of cells"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "not of R"),
        (
            '{"cells": [{"cell_type": "code", "source": "a\\u0000"}], "metadata": []}',
            "cell 1, line",
        ),
        ('{"cells": [{"cell_type": "code", "source": "\\ud800"}]}', "cell 1, line 1"),
    ],
)
def test_files_that_are_no_notebook(text, said, capsys):
    Path("a.ipynb").write_text(text)
    assert main(["run", "a.ipynb"]) == 1
    assert said in capsys.readouterr().err


# Lines that are no Python


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("%matplotlib inline", "__shell__.run_line_magic('matplotlib', 'inline')"),
        ("for x in y:\n    !echo $x", "for x in y:\n    __shell__.system('echo $x')"),
        ("a = !ls *.png", "a = __shell__.getoutput('ls *.png')"),
        ("t = %timeit -o f()", "t = __shell__.run_line_magic('timeit', '-o f()')"),
        ("!a \\\n  b\nc", "__shell__.system('a   b')\n\nc"),
        ("%%bash -e\nls\npwd", "__shell__.run_cell_magic('bash', '-e', 'ls\\npwd')"),
        ("x = (1\n  % 2)\ny != 3", "x = (1\n  % 2)\ny != 3"),
        ("s = '''\n%d\n!x\n''' % 3", "s = '''\n%d\n!x\n''' % 3"),
        ("x = 5 \\\n  %y\nz = 7%y", "x = 5 \\\n  %y\nz = 7%y"),
        ("plt.plot?\n?x\nx", "\n\nx"),
    ],
)
def test_lines_keep_their_places(text, python):
    assert as_python(text) == python


def test_magics_do_what_means_something(capsys, monkeypatch):
    monkeypatch.setenv("SET", "before")
    write(
        "a.ipynb",
        "%load_ext autoreload\n%config InlineBackend.figure_format = 'svg'",
        "%time x = 3\nx",
        "%%time\nx * 2",
        "%timeit -n 3 x + 1",
        "%env SET={x}\nimport os\nos.environ['SET']",
        "%%writefile made.py\nvalue = 4",
        "%run made.py\nvalue",
        "%%capture\nprint('unseen')",
        "%cd ..\n%pwd",
        "%%javascript\nalert(1)",
        "get_ipython().magic('time x + 7')",
    )
    assert main(["run", "a.ipynb"]) == 0
    out, err = capsys.readouterr()
    for shown in ("3\n", "6\n", "'3'\n", "per loop", "4\n", "10\n", "Wall time: "):
        assert shown in out
    assert "unseen" not in out
    for passed in ("cell 1: passing over %load_ext", "%config", "cell 10: passing over the cell"):
        assert passed in err


def test_commands_run_in_the_shell(capfd):
    write(
        "a.ipynb",
        "name, words = 'a', ['b']\n!echo $name {words[0]} $$HOME $(echo c)",
        "found = !printf 'x\\ny\\n'\nfound",
        "!exit 3",
        "%%bash\necho from $((1 + 1))",
    )
    assert main(["run", "a.ipynb"]) == 0
    out, err = capfd.readouterr()
    assert "a b $HOME c" in out.replace(os.environ["HOME"], "$HOME")
    assert "['x', 'y']" in out and "from 2" in out
    assert "cell 3: !exit 3: ended with the exit code 3" in err


def test_commands_are_passed_over_where_that_is_asked_for(capfd):
    write("a.ipynb", "!touch made", "x = !ls\nx")
    assert main(["run", "--no-shell", "a.ipynb"]) == 0
    out, err = capfd.readouterr()
    assert "cell 1: passing over !touch made, as --no-shell says" in err
    assert out == "[]\n" and not os.path.exists("made")


def test_commands_find_caffe_and_scripts_that_import_it(capfd):
    Path("script.py").write_text("import sys, caffe\nprint(caffe.__name__, sys.argv[1:])\n")
    write("a.ipynb", "!python script.py 1 && ../build/tools/convert_imageset.bin --help | head -1")
    assert main(["run", "a.ipynb"]) == 0
    out, err = capfd.readouterr()
    assert "caffelite ['1']" in out and "usage: caffelite convert_imageset" in out, err


def test_figures_are_written_beside(capsys):
    pytest.importorskip("matplotlib")
    cell = "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.figure();\nplt.show()"
    write("a.ipynb", "%matplotlib inline", cell, "plt.get_fignums()")
    assert main(["run", "a.ipynb"]) == 0
    assert sorted(os.listdir("a_figures")) == ["cell-02-1.png", "cell-02-2.png"]
    out, err = capsys.readouterr()
    assert "cell 2: a figure: a_figures/cell-02-1.png" in err and out.endswith("[]\n")
    assert main(["run", "--figures", "other", "a.ipynb"]) == 0
    assert len(os.listdir("other")) == 2


def test_what_notebooks_take_from_ipython(capsys):
    Path("x.png").write_bytes(b"\x89PNG\r\n\x1a\n")  # which IPython reads where it is installed
    write("a.ipynb", "from IPython.display import Image, display\ndisplay(Image(filename='x.png'))")
    assert main(["run", "a.ipynb"]) == 0
    assert "Image" in capsys.readouterr().out


def test_a_notebook_that_was_exported_as_a_script(capsys):
    Path("a.py").write_text(
        "get_ipython().magic('matplotlib inline')\nx = get_ipython()\nprint(3)\n"
    )
    assert main(["run", "a.py"]) == 0
    assert capsys.readouterr().out == "3\n"


# Scripts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nprint `x`", "a.py:2: this is Python 2 (a print without parentheses"),
        (
            "try:\n    pass\nexcept IOError, e:\n    pass",
            "a.py:3: this is Python 2 (except TYPE, NA",
        ),
        ("x = 1\nfor i in xrange(3): pass", "a.py:2: this is Python 2 (xrange)"),
        ("x = range(3) + [4]", "'range' and 'list'; this is Python 2, where"),
        ("x = [4] + range(3)", "this is Python 2, where range() made a list"),
        ("x = map(str, [1])[0]", "this is Python 2, where map() made a list"),
        ("x = len(filter(None, [1]))", "this is Python 2, where filter() made a list"),
        ("x = {}.keys()\nx.sort()", "this is Python 2, where keys() made a list"),
        ("x = range(3)\nx[0] = 1", "this is Python 2, where range() made a list"),
        ("x = 0777", "a.py:1: this is Python 2 (an octal"),
        ("x = 1 +", "a.py:1: invalid syntax"),
    ],
)
def test_python_2_is_told_with_its_line_and_the_way_out(text, said, capsys):
    Path("a.py").write_text(text + "\n")
    assert main(["run", "a.py"]) == 1
    err = capsys.readouterr().err
    assert said in err and ("2to3" in err) == ("Python 2" in said)


@pytest.fixture
def fissix(monkeypatch):
    """A package of that name, which knows one thing of Python 2: a print of a word."""
    package, refactor = types.ModuleType("fissix"), types.ModuleType("fissix.refactor")

    class RefactoringTool:
        def __init__(self, fixers):
            assert fixers == ["fissix.fixes"]

        def refactor_string(self, text, name):
            if "unknown" in text:
                raise ValueError(name)
            return re.sub(r"^print (\S+)", r"print(\1)", text, flags=re.M)

    vars(refactor).update(RefactoringTool=RefactoringTool, get_fixers_from_package=lambda x: [x])
    package.__spec__ = importlib.machinery.ModuleSpec("fissix", None)
    monkeypatch.setitem(sys.modules, "fissix", package)
    monkeypatch.setitem(sys.modules, "fissix.refactor", refactor)


def test_python_2_runs_where_fissix_rewrites_it(fissix, capsys):
    Path("a.py").write_text("import sys\nprint __name__\nprint sys.modules['__main__'].__file__\n")
    assert main(["run", "a.py"]) == 0
    assert capsys.readouterr().out == "__main__\na.py\n"
    write("a.ipynb", "x = 1\nprint 'x'\n!true\nx", "%%time\nprint x")
    assert main(["run", "a.ipynb"]) == 0
    assert capsys.readouterr().out.startswith("x\n1\n1\nCPU times")
    write("a.ipynb", "1", "print 'unknown'")
    assert main(["run", "a.ipynb"]) == 1
    assert "cell 2, line 1: this is Python 2" in capsys.readouterr().err


def test_python_2_runs_where_only_its_prints_are_of_old(capsys):
    text = """x, y = [3], {'a': 1}
print x[0], y['a']  # as in many a notebook
print "%d, %s" % (
    4, '#')
if x:
    print 'no end',
print 'here'; z = 1
print z"""
    write("a.ipynb", "1", text)
    assert main(["run", "a.ipynb"]) == 0
    assert capsys.readouterr().out == "1\n3 1\n4, #\nno end here\n1\n"
    Path("a.py").write_text(text)
    assert main(["run", "a.py"]) == 0
    assert capsys.readouterr().out == "3 1\n4, #\nno end here\n1\n"


def test_modules_of_pil_have_their_old_names(capsys):
    Image.new("L", (3, 2)).save("gray.png")
    write(
        "a.ipynb",
        "import Image, ImageDraw\nImage.open('gray.png').size",
        "Image is ImageDraw.Image",
    )
    assert main(["run", "a.ipynb"]) == 0
    assert capsys.readouterr().out == "(3, 2)\nTrue\n"
    Path("Image.py").write_text("own = 5\n")
    sys.modules.pop("Image")
    write("a.ipynb", "import Image\nImage.own")
    assert main(["run", "a.ipynb"]) == 0
    assert capsys.readouterr().out == "5\n"
    write("b.ipynb", "import Imagery")
    assert main(["run", "b.ipynb"]) == 1
    assert "No module named 'Imagery'" in capsys.readouterr().err


def test_old_calls_are_told_once_each():
    code = "import caffe\nfor _ in range(2): caffe.set_phase_test()\ncaffe.set_phase_test()\n"
    Path("a.py").write_text(code)
    with pytest.warns(OldCall, match="set_phase_test") as seen:
        assert main(["run", "a.py"]) == 0
    assert [(warning.filename, warning.lineno) for warning in seen] == [("a.py", 2)]


LAYER = """
import caffe

class Double(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data
    def backward(self, top, propagate_down, bottom): pass
"""
SCRIPT = """
import sys
sys.path.append("layers")
import caffe
from caffe import layers as L
n = caffe.NetSpec()
n.x = L.Input(shape=dict(dim=[1]))
n.y = L.Python(n.x, module="doubling_{0}", layer="Double")
print(caffe.Net(n.to_proto(), caffe.TEST).forward(x=[3])["y"])
"""


@pytest.mark.parametrize("where", ["layers", "."])
def test_python_layers_may_lie_in_folders_of_the_script(where, capsys, folder):
    name = f"doubling_{'below' if where == 'layers' else 'beside'}"
    os.makedirs(where, exist_ok=True)
    Path(where, f"{name}.py").write_text(LAYER)
    Path("a.py").write_text(SCRIPT.replace("doubling_{0}", name))
    assert main(["run", "a.py"]) == 0
    assert capsys.readouterr().out == "[6.]\n"


def test_python_layers_elsewhere_need_leave(capsys):
    Path("a.py").write_text(SCRIPT.replace("doubling_{0}", "antigravity"))
    assert main(["run", "a.py"]) == 1
    assert "--allow-python antigravity" in capsys.readouterr().err
