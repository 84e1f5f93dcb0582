"""Copy a net that caffelite brings along to start from: program, prototxts, solver and card.

    caffelite init NAME [DIR]
    caffelite init NAME --data data              a classifier of the pictures in there
    caffelite init NAME --classes 7              a classifier of 7 classes

DIR is by default a new folder, NAME. The solver becomes DIR/solver.prototxt, one of an earlier step
of training DIR/solver-STEP.prototxt, and paths in the files are those from DIR:

    cd DIR
    caffelite train solver.prototxt

The last lines say what to type next, and what makes the data that the net reads, if caffelite can;
with -q, there are none but the files.

With --data, what `caffelite dataset` made is looked through: two databases with "train" and with
"test" or "val" in their names, or two such lists (.txt), and labels.txt. The net reads them, and
has as many outputs as there are classes; the solver tests on all samples for testing, trains for
--epochs, and steps its rate at the same shares of the training as before. Pictures of other sizes
than the net takes are resized, and means are those of the data.

Each head, the layer that makes the scores, gets another name, since published weights are of other
classes, and 10 times the lr_mult; base_lr is a tenth of what it was, so that the head learns as the
net did, and all else keeps close to the weights that `train --weights` copies. --freeze lets only
the heads learn, --freeze LAYER all behind LAYER. --from-nothing leaves the rates as they are: for a
net that starts with no weights, as `pictures` always does.

--class-weights writes into the loss how much a sample of each class counts, samples / (classes *
samples of the class), so that rare classes count as much as frequent ones. --balanced shows a
sample of each class in turn instead, which learns sooner where counts differ much.

What tells nothing about the classes may vary in training: with --any-turn, pictures are turned by
any angle and mirrored both ways, for they have no up and down; with --any-color, their colors are
taken for others, at random, and turned to their opposites.
"""

import argparse
import os
import re

from .. import reading
from . import _zoo
from ._flags import UsageError

FROM_NOTHING = ("pictures",)  # nets of which there are no published weights to start from

_OURS = ("net", "solver", "script")  # kinds of the files that are copied


def add_arguments(parser):
    flag = parser.add_argument
    flag("name", metavar="NAME", help='a net; "caffelite models" lists them')
    flag("folder", nargs="?", metavar="DIR", help="where to [NAME]")
    flag("--force", action="store_true", help="overwrite files that are there")
    flag("--classes", type=_classes, metavar="N", help="new heads, for N classes [those of --data]")
    flag("--data", metavar="DIR", help="read the databases or lists in there")
    flag("--epochs", type=_count, metavar="N", help="train for N passes through the data")
    flag(
        "--freeze",
        nargs="?",
        const="",
        metavar="LAYER",
        help="let only heads learn, or what is behind LAYER",
    )
    flag("--from-nothing", action="store_true", help="leave the rates as they are")
    flag("--class-weights", action="store_true", help="let rare classes count as much as others")
    flag("--balanced", action="store_true", help="show a sample of each class in turn")
    flag("--any-turn", action="store_true", help="vary how pictures are turned: they have no up")
    flag("--any-color", action="store_true", help="vary colors: they tell nothing of the classes")


def _count(text, least=1):
    return reading.integer(text, "", least=least, most=10**6, error=argparse.ArgumentTypeError)


def _classes(text):
    return _count(text, least=2)


def run(args):
    name = _zoo.known(args.name)
    target = args.folder or name
    if args.data is None:
        for flag in ("epochs", "class_weights", "balanced", "any_turn", "any_color"):
            if getattr(args, flag):
                raise UsageError(
                    f"--{flag.replace('_', '-')} goes by the data: give --data DIR, too"
                )
    if args.data is None and args.classes is None:
        for flag in ("freeze", "from_nothing"):
            if getattr(args, flag) not in (None, False):
                raise UsageError(
                    f"--{flag.replace('_', '-')} is for new heads: give --classes, too"
                )
        solvers = _solvers(name)
        texts = {
            file: _from_its_folder(text, name, solvers)
            for file, text in _texts(name, solvers).items()
        }
        said = _next_steps(texts, target)
    else:
        texts, said = _fitted(args, name, target)
    _write(texts, name, target, args.force)
    made = [os.path.join(target, file) for file in texts]
    print("\n".join(made if args.quiet else made + said))
    return 0


def _next_steps(texts, target):
    """What to type next: what makes the data that the net reads, and what trains it."""
    solver = "solver.prototxt"
    sources = dict.fromkeys(re.findall(r'source: "([^"]+)"', texts.get("train_val.prototxt", "")))
    if solver not in texts or not sources:
        return []
    makes = re.search(r"caffelite dataset [\w-]+ --out \w+", "\n".join(texts.values()))
    if makes and makes[0].endswith(os.path.dirname(next(iter(sources)))):
        return [f"next: cd {target}; {makes[0]}; caffelite train {solver}"]
    lists = any(os.path.splitext(source)[1] for source in sources)
    reads = re.findall(r'type: "(\w+)"(?:(?!type:).)*?source:', texts["train_val.prototxt"], re.S)
    tells = f"caffelite layers {reads[0]}" if lists else "caffelite dataset --help"
    return [
        f"next: make {' and '.join(sources)} in {target}, for which see {tells}",
        f"then: cd {target}; caffelite train {solver}",
    ]


def _write(texts, name, target, force):
    from ..atomic import write_atomically
    from ..errors import DataError

    present = [file for file in texts if os.path.lexists(os.path.join(target, file))]
    if present and not force:
        raise DataError(
            f"{target}: there is already {', '.join(present)}; --force overwrites, "
            f"caffelite init {name} DIR copies to another folder"
        )
    os.makedirs(target, exist_ok=True)
    for file, text in texts.items():
        write_atomically(os.path.join(target, file), text.encode())


def _fitted(args, name, target):
    """({file: text}, lines to say) of the net for the classes and data that `args` ask for."""
    from ..proto.caffe_pb2 import NetParameter, SolverParameter
    from ..proto.text import parse
    from . import _new_head, _own_data

    files = _texts(name, _solvers(name))
    net, deploy = (
        parse(files[f"{kind}.prototxt"], NetParameter) for kind in ("train_val", "deploy")
    )
    solver = parse(files["solver.prototxt"], SolverParameter)
    solver.net = "train_val.prototxt"
    heads = _new_head.find(net, name)
    from_nothing = args.from_nothing or name in FROM_NOTHING
    faster = 1 if from_nothing else _new_head.FASTER
    data = _own_data.Data(args.data, args.classes) if args.data else None
    classes = data.classes if data else args.classes
    renamed = _new_head.renew([net, deploy], heads, classes, faster)
    solver.base_lr = float(f"{solver.base_lr / faster:.6g}")
    said = [f"{old} is {new}, with {classes} outputs" for old, new in renamed.items()]
    if data:
        batches = _own_data.feed(net, deploy, data, target)
        epochs = args.epochs or _own_data.epochs_for(data.train.samples, from_nothing)
        _own_data.schedule(solver, data, batches, epochs)
        _own_data.keep_up(net, solver.max_iter)
        said += [
            f"{data.train.samples} samples for training: {epochs} epochs are {solver.max_iter} "
            f"iterations of {batches[0]}" + _rounded(data.train.samples, batches[0]),
            f"{data.test.samples} for testing: {solver.test_iter[0]} batches of {batches[1]}",
            *(f"warning: {doubt}" for doubt in data.doubts()),
        ]
    if args.class_weights and args.balanced:
        raise UsageError("--class-weights and --balanced do the same in two ways: give one")
    if args.class_weights:
        _new_head.weigh(net, data.class_weights(), name)
    if data:
        _own_data.vary(net, data, args.balanced, args.any_turn, args.any_color)
    learned = _learned(deploy, name)
    if args.freeze is not None:
        _new_head.freeze(net, learned, set(renamed.values()), args.freeze)
    _new_head.without_rates(deploy)
    words = f"{name} for {classes} classes" + (f", of the pictures in {args.data}" if data else "")
    texts = {file: text for file, text in files.items() if file.endswith(".txt")}
    texts |= {
        "train_val.prototxt": _from_its_folder(_prototxt(net, words), name, {}),
        "deploy.prototxt": _prototxt(deploy, words),
        "solver.prototxt": _prototxt(solver, f"Trains {words}"),
        "readme.md": files["readme.md"],
    }
    if data and data.labels:
        texts["labels.txt"] = reading.text(data.labels, errors="surrogateescape")
    command = f"next: cd {target}; caffelite train --solver solver.prototxt"
    said.append(command if from_nothing else f"{command} --weights FILE")
    if args.freeze is not None:
        said.append("without --weights, what is frozen keeps numbers that chance gave it")
    elif not from_nothing:
        said.append("where there are no weights to start from, init --from-nothing keeps the rates")
    return texts, said


def _rounded(samples, batch):
    """What to say of an epoch that is no whole number of iterations."""
    whole = -(-samples // batch)
    return f", {whole} an epoch: {samples / batch:.4g}, rounded up" if samples % batch else ""


def _learned(deploy, name):
    """{layer: how many blobs of it a solver learns} of a net, which this builds, as a check."""
    from ..net import Net
    from ..proto.caffe_pb2 import TEST

    net = Net(deploy, phase=TEST)
    found = {
        layer.name: sum(of not in layer.statistics for of in layer.blob_names)
        for layer in net.layers
        if layer.blobs
    }
    net.close()
    return found


def _prototxt(message, words):
    from ..models.program import compact
    from ..proto.text import to_text

    return f"# {words}.\n# Made by caffelite init.\n{compact(to_text(message))}"


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
