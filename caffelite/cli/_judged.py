"""caffelite test --judge: how well a generator does."""

from ..glog import start_logging
from ..json_text import json_text
from ._flags import UsageError
from ._nets import open_net, use_device


def run(args):
    """Print the report on a generator; returns the exit code."""
    for flag in ("html", "confusion", "curves", "iterations", "cfg", "threshold"):
        if getattr(args, flag) is not None:
            raise UsageError(f"--{flag} is not for generators, which --judge is for")
    if not args.weights:
        raise UsageError("--judge is for a generator with --weights")
    start_logging(quiet=True)
    use_device(args)
    from ..data.dataset import read_names
    from ..predict.generator import Generator
    from ..predict.generator_report import Judge, lines, report

    generator = Generator(open_net(args.model, "TEST", args, weights=args.weights))
    found = report(generator, Judge(args.judge, args.judge_weights))
    if args.json:
        print(json_text(found))
    else:
        print("\n".join(lines(found, read_names(args.labels) if args.labels else [])))
    return 0
