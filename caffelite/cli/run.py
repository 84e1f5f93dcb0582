"""Run a script or notebook written for pycaffe as it is: its `import caffe` finds caffelite.

    caffelite run classify.py --mean_file "" cat.jpg cat.npy
    caffelite run 00-classification.ipynb

The cells of a notebook run in order, in its folder, as in Jupyter, which need not be installed.
Figures go into a folder beside it, NAME_figures, or that of --figures; lines that begin with !
run in the shell, unless --no-shell passes over them; what is for the page alone is passed over.

Scripts of Caffe's repository that are Python 2 (classify.py, detect.py, draw_net.py, ...) are
recognised, and programs of caffelite's own do their work, with the same arguments.

For their Python layers, nets may import modules that lie beside the script, or in a folder that it
adds to sys.path; others where --allow-python, before SCRIPT, names them.
"""

import argparse
import os
import sys

from ._nets import add_python_flag

READS_NETS = True


def add_arguments(parser):
    parser.add_argument("--figures", metavar="FOLDER", help="where figures of a notebook go")
    parser.add_argument(
        "--shell",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the lines of a notebook that begin with !",
    )
    add_python_flag(parser)
    parser.add_argument(
        "script",
        metavar="SCRIPT ...",
        nargs=argparse.REMAINDER,
        help="the script, and its own arguments behind it",
    )


def run(args):
    from .. import file_kind
    from ..glog import start_logging
    from ..net.old_calls import tell_once
    from ..own_code import allow_folders
    from ..pycaffe.as_caffe import install_as_caffe
    from ..pycaffe.scripts import bvlc, old_pil, python2, script
    from ..pycaffe.scripts.notebook import Notebook
    from ._flags import UsageError

    if not args.script:
        raise UsageError("SCRIPT is missing")
    path, *words = args.script
    install_as_caffe()
    old_pil.install()
    log = start_logging()
    tell_once()
    sys.argv, before = args.script, set(sys.path)
    allow_folders(lambda: [os.path.abspath(p) for p in sys.path if p not in before])
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    kind = file_kind.of(path)
    if path.endswith(".ipynb") or (kind and kind.name == "notebook"):
        Notebook(path, args.figures, args.shell).run()
        return 0
    text = python2.source(path)
    known = bvlc.of_script(path, text)
    if known is None:
        script.run(path, text)
        return 0
    log.warning("%s: %s; caffelite's own program does its work", path, known.reason)
    if known.command:
        from . import main

        return main([*known.command, *words])
    known.program(words)
    return 0
