"""Look at a net in the browser: its graph, an editor beside it, and the curves of a run.

    caffelite view MODEL
    caffelite view MODEL --weights FILE --run LOG.jsonl
    caffelite view --run OLD.log --run NEW.jsonl
    caffelite view --runs DIR

The page redraws the net and lists what lint finds while you type; the file changes only when you
press Save. --weights adds histograms and filters; --run adds curves that grow with the log of a
run, which `caffelite train --log` writes, or Caffe itself. Several are laid over each other, and
compared; --runs lists all that are found beneath a folder. Only this machine is served, at the
address that is printed. From another one: ssh -L 8080:127.0.0.1:8080 with --port 8080
--no-browser. Ctrl-C ends it.
"""

import logging
import os

from ..errors import CaffeliteError
from ._flags import UsageError
from ._nets import PHASES, add_net_flags, add_sample_flag, model_of, sample, stages
from ._page import add_page_flags, check_port, serve

READS_NETS = True


def add_arguments(parser):
    add_net_flags(parser)
    parser.add_argument("--weights", metavar="FILE", help="weights to show, of any kind")
    parser.add_argument(
        "--run",
        action="append",
        default=[],
        metavar="LOG",
        help="a run's log to show, now or when it comes; may be given several times",
    )
    parser.add_argument("--runs", metavar="DIR", help="list the runs whose logs are beneath DIR")
    parser.add_argument("--phase", default="TEST", type=str.upper, choices=PHASES, help="[TEST]")
    add_sample_flag(parser)
    add_page_flags(parser)


def run(args):
    runs = args.run or args.runs
    model = model_of(args) if args.net or args.model or not runs else None
    if args.weights and not model:
        raise UsageError("--weights needs the net that they are of: MODEL")
    if args.runs is not None and not os.path.isdir(args.runs):
        raise UsageError(f"--runs: {args.runs} is no folder")
    check_port(args)
    if not args.verbose:
        logging.getLogger("caffelite").setLevel(logging.CRITICAL)  # the page tells what is wrong
    return serve(args, _page_data(model, args))


def _page_data(model, args):
    from ..proto import caffe_pb2
    from ..view.net_file import NetFile
    from ..view.page_data import MOST_TEXT, PageData
    from ..view.runs import Runs
    from ..view.weights import Weights

    file = NetFile(model) if model else None
    if file and len(file.read()[0].encode()) > MOST_TEXT:
        raise CaffeliteError(f"{model}: has more than {MOST_TEXT >> 20} MB, too much to edit")
    state = caffe_pb2.NetState(
        phase=caffe_pb2.Phase.Value(args.phase), level=args.level, stage=stages(args)
    )
    weights = Weights(args.weights) if args.weights else None
    runs = Runs(args.run, args.runs) if args.run or args.runs else None
    return PageData(file, state, sample(args, model) if model else None, weights, runs)
