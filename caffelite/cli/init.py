"""Copy a net that caffelite brings along to start from: program, prototxts, solver and card.

    caffelite init NAME [DIR]

DIR is by default a new folder, NAME. The solver becomes DIR/solver.prototxt, one of an earlier step
of training DIR/solver-STEP.prototxt, and paths in the files are those from DIR:

    cd DIR
    caffelite train --solver solver.prototxt
"""

import os
import re

from .. import reading
from . import _zoo

_OURS = ("net", "solver", "script")  # kinds of the files that are copied


def add_arguments(parser):
    parser.add_argument("name", metavar="NAME", help='a net; "caffelite models" lists them')
    parser.add_argument("folder", nargs="?", metavar="DIR", help="where to [NAME]")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")


def run(args):
    from ..atomic import write_atomically
    from ..errors import DataError

    name = _zoo.known(args.name)
    target = args.folder or name
    solvers = _solvers(name)
    texts = _texts(name, solvers)
    present = [file for file in texts if os.path.lexists(os.path.join(target, file))]
    if present and not args.force:
        raise DataError(
            f"{target}: there is already {', '.join(present)}; --force overwrites, "
            f"caffelite init {name} DIR copies to another folder"
        )
    os.makedirs(target, exist_ok=True)
    for file, text in texts.items():
        text = _from_its_folder(text, name, solvers)
        write_atomically(os.path.join(target, file), text.encode())
        print(os.path.join(target, file))
    return 0


def _texts(name, solvers):
    """{file to make: what is in it}. Prototxts too long to be kept are written by the program."""
    texts, sources = {}, _files(name, solvers)
    for file, source in sources.items():
        texts[file] = reading.text(source, takes=_OURS)
    if "deploy.prototxt" not in sources:
        from ..models.program import program

        texts.update(program(sources["net.py"]).files())
    return texts


def _files(name, solvers):
    """{file to make: file to copy}."""
    models = os.path.join(_zoo.folder("models"), name)
    files = {
        file: os.path.join(models, file)
        for file in sorted(os.listdir(models))
        if file.endswith((".py", ".prototxt", ".md", ".txt"))
    }
    for solver, made in solvers.items():
        files[made] = os.path.join(_zoo.folder("solvers"), solver)
    return files


def _solvers(name):
    """{file of solvers/ that trains the net, NAME.prototxt or NAME-STEP.prototxt: file to make}."""
    of_net = re.compile(rf'^net: "models/{re.escape(name)}/', re.MULTILINE)
    folder = _zoo.folder("solvers")
    alike = (file for file in sorted(os.listdir(folder)) if file.startswith(name))
    return {
        file: file.replace(name, "solver", 1)
        for file in alike
        if of_net.search(reading.text(os.path.join(folder, file), takes=_OURS))
    }


def _from_its_folder(text, name, solvers):
    """The text with paths as they are from the net's own folder."""
    text = text.replace(f"models/{name}/", "")
    for solver, made in solvers.items():
        text = text.replace(f"solvers/{solver}", made)
    return text
