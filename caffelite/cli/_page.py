"""Serving pages to the browser of this machine: the flags that say how, and the serving."""

import argparse
import errno
import os
import sys
import threading

from ..errors import CaffeliteError
from ._flags import UsageError, int32


def add_page_flags(parser):
    """--port, and --no-browser."""
    parser.add_argument("--port", type=int32, default=0, metavar="N", help="[any that is free]")
    parser.add_argument(
        "--browser",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="open the page in the browser",
    )


def check_port(args):
    """Refuse a --port that no user may have."""
    if args.port and not 1024 <= args.port <= 65535:
        raise UsageError(f"--port: expected 1024 to 65535, not {args.port}")


def serve(args, data, handler=None):
    """Serve what a Server shows of `data` until Ctrl-C; tells the address, and opens the page."""
    with _server(data, args.port, handler) as server:
        print(server.url, flush=True)
        if not args.quiet:
            print("Ctrl-C ends it", file=sys.stderr)
        if args.browser and _has_screen():
            import webbrowser

            threading.Thread(target=webbrowser.open, args=[server.url_once], daemon=True).start()
        server.serve_forever()
    return 0


def _server(data, port, handler):
    from ..view.server import ADDRESS, Server

    try:
        return Server(data, port, handler)
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
