"""Put Caffe's programs where scripts call them: caffelite links build/tools

    caffelite links build/tools
    ./build/tools/caffe train -solver solver.prototxt

The folder gets a link for each, as NAME and, as scripts of 2014 have it, NAME.bin: caffe,
convert_imageset, compute_image_mean, extract_features, ..., and for scripts that are older still
train_net, finetune_net, test_net and net_speed_benchmark. Files that are there already stay.
"""

import os
import shutil
import sys
from importlib import metadata

from ..errors import CaffeliteError
from ._program import OLD


def add_arguments(parser):
    parser.add_argument("folder", metavar="FOLDER", help="where to put them: build/tools")


def run(args):
    programs = {name: _installed(name) for name in _names()}
    programs.update((name, programs["caffe"]) for name in OLD)
    os.makedirs(args.folder, exist_ok=True)
    for name, program in programs.items():
        for link in (name, f"{name}.bin"):
            _link(os.path.join(args.folder, link), program)
    print(f"{args.folder}: {', '.join(sorted(programs))}, each as NAME and NAME.bin")
    return 0


def _names():
    """The programs that are installed for Caffe's."""
    found = metadata.entry_points(group="console_scripts")
    return {"caffe"} | {entry.name for entry in found if entry.value == "caffelite.cli:tool"}


def _installed(name):
    here = os.path.dirname(sys.executable)
    found = shutil.which(name, path=here) or shutil.which(name)
    if found is None:
        raise CaffeliteError(
            f"the program {name} is not installed beside {sys.executable}; install caffelite "
            "anew, by pip"
        )
    return os.path.abspath(found)


def _link(path, program):
    try:
        os.symlink(program, path)
    except FileExistsError:
        if not os.path.islink(path) or os.readlink(path) != program:
            print(f"{path}: is there already, and stays as it is", file=sys.stderr)
