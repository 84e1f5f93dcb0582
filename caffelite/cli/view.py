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

import argparse
import errno
import logging
import os
import sys
import threading

from ..errors import CaffeliteError
from ._flags import UsageError, int32
from ._nets import PHASES, add_net_flags, add_sample_flag, model_of, sample, stages

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
    parser.add_argument("--port", type=int32, default=0, metavar="N", help="[any that is free]")
    parser.add_argument(
        "--browser",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="open the page in the browser",
    )


def run(args):
    runs = args.run or args.runs
    model = model_of(args) if args.net or args.model or not runs else None
    if args.weights and not model:
        raise UsageError("--weights needs the net that they are of: MODEL")
    if args.runs is not None and not os.path.isdir(args.runs):
        raise UsageError(f"--runs: {args.runs} is no folder")
    if args.port and not 1024 <= args.port <= 65535:
        raise UsageError(f"--port: expected 1024 to 65535, not {args.port}")
    if not args.verbose:
        logging.getLogger("caffelite").setLevel(logging.CRITICAL)  # the page tells what is wrong
    with _server(_page_data(model, args), args.port) as server:
        print(server.url, flush=True)
        if not args.quiet:
            print("Ctrl-C ends it", file=sys.stderr)
        if args.browser and _has_screen():
            import webbrowser

            threading.Thread(target=webbrowser.open, args=[server.url_once], daemon=True).start()
        server.serve_forever()
    return 0


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


def _server(data, port):
    from ..view.server import ADDRESS, Server

    try:
        return Server(data, port)
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            raise
        raise CaffeliteError(
            f"port {port} of {ADDRESS} is in use; give another --port, or none for any that is free"
        ) from None


def _has_screen():
    """Whether a browser would open a window, not take over the terminal."""
    return sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
