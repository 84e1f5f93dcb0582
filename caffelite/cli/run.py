"""Run a script written for pycaffe as it is: its `import caffe` finds caffelite.

    caffelite run classify.py --mean_file "" cat.jpg cat.npy

Nets in it may import modules for their Python layers that --allow-python, before SCRIPT, names.
"""

import argparse
import os
import sys

from ._nets import add_python_flag

READS_NETS = True


def add_arguments(parser):
    add_python_flag(parser)
    parser.add_argument(
        "script",
        metavar="SCRIPT ...",
        nargs=argparse.REMAINDER,
        help="the script, and its own arguments behind it",
    )


def run(args):
    import runpy

    from ..errors import CaffeliteError
    from ..glog import start_logging
    from ..pycaffe.as_caffe import install_as_caffe
    from ._flags import UsageError

    if not args.script:
        raise UsageError("SCRIPT is missing")
    script = args.script[0]
    install_as_caffe()
    start_logging()
    sys.argv = args.script
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    try:
        runpy.run_path(script, run_name="__main__")
    except SyntaxError as problem:
        raise CaffeliteError(
            f"{problem.filename}:{problem.lineno}: {problem.msg}; if this is Python 2, 2to3 "
            "rewrites it"
        ) from problem
    return 0
