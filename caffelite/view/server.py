"""Serve the page on 127.0.0.1 to whoever knows the token in its address.

    GET  /TOKEN/            the page; /TOKEN/NAME is one of its files
    GET  /TOKEN/net         PageData.net(), and likewise:
    POST /TOKEN/graph       {text, phase}
    POST /TOKEN/lint        {text}
    POST /TOKEN/complete    {text}, up to the cursor
    POST /TOKEN/save        {text, version}
    GET  /TOKEN/weights?layer=NAME
    GET  /TOKEN/runs, /TOKEN/curves?runs=0,1, ...   of runs: Runs.listing() and its neighbours
    GET  /CODE              once: redirects to /TOKEN/

The token is in the path: relative addresses carry it along, and there is no cookie that another
page could make use of. Browsers are started with CODE instead, since all users of a machine may see
command lines. The Host header is checked, so that no foreign name can be made to point here. The
page's files are looked up in a table, never by path.
"""

import hmac
import http.server
import json
import re
import secrets
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from importlib import resources
from urllib.parse import parse_qs, urlsplit

from ..errors import CaffeliteError, DataError
from ..reading import json_object
from .net_file import ChangedOnDiskError
from .page_data import MOST_TEXT

ADDRESS = "127.0.0.1"
GETS = {
    "net": (),
    "weights": ("layer",),
    "runs": (),
    "curves": ("runs", "panels", "x", "from", "to", "smooth", "seen"),
    "compare": ("runs",),
    "spread": ("run", "blob", "kind"),
    "pictures": ("run",),
}
POSTS = {
    "graph": ("text", "phase"),
    "lint": ("text",),
    "complete": ("text",),
    "save": ("text", "version"),
}
MOST_BODY = 2 * MOST_TEXT  # as JSON, which escapes newlines
LINGER = 2  # seconds in which a refused sender can finish
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; worker-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # lone surrogates are halves of characters


class Refusal(Exception):
    """A request that is not answered: with which status, and why."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


class Server(http.server.ThreadingHTTPServer):
    """Serves a PageData until `serve_forever` is interrupted; port 0 takes one that is free."""

    daemon_threads = True
    request_queue_size = 128  # connections that may wait: a page asks for many things at once

    def __init__(self, data, port=0, handler=None):
        super().__init__((ADDRESS, port), handler or Handler)
        self.data = data
        self.files = _page_files()
        self.token = secrets.token_urlsafe(24)
        self._code = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}
        self.url = f"http://{ADDRESS}:{self.server_port}/{self.token}/"
        self.url_once = f"http://{ADDRESS}:{self.server_port}/{self._code}"

    def take_code(self, word):
        """Whether `word` is the code for the first visit, which it is but once."""
        with self._lock:
            if not _same(word, self._code):
                return False
            self._code = secrets.token_urlsafe(24)
            return True

    def handle_error(self, request, client_address):
        """A browser that goes away is no error; what else goes wrong, the answer tells."""


def _page_files():
    """{name: (type, bytes)}"""
    found = {}
    page = resources.files(__package__) / "page"
    for folder, prefix in ((page, ""), (page / "vendor", "vendor/")):
        for entry in folder.iterdir():
            ending = entry.name[entry.name.rfind(".") :]
            if entry.is_file() and ending in TYPES:
                found[prefix + entry.name] = TYPES[ending], entry.read_bytes()
    return found


def _same(word, secret):
    """Whether they are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(word.encode("utf-8", "replace"), secret.encode())


def _check_text(text):
    """Refuse what no file of text can hold."""
    if len(text) > MOST_TEXT or len(text.encode(errors="replace")) > MOST_TEXT:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST_TEXT >> 20} MB of text"
        )
    bad = _NO_TEXT.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            f"line {line}: the character U+{ord(bad[0]):04X} cannot be in a file of text",
        )


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers requests for the page of nets; a subclass may show other `data` otherwise."""

    headers_sent = HEADERS
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "caffelite", ""
    timeout = 30  # seconds that a connection may be silent

    def do_GET(self):
        self._answer(self._get)

    def do_POST(self):
        self._answer(self._post)

    def _answer(self, handle):
        try:
            self._send(HTTPStatus.OK, *handle(*self._route()))
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except ChangedOnDiskError as problem:
            self._refuse(HTTPStatus.CONFLICT, str(problem))
        except CaffeliteError as problem:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem))
        except Exception as problem:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(problem).__name__}: {problem}")

    def _route(self):
        """(name, {key: value}) of what is asked for, by somebody who may."""
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            raise Refusal(HTTPStatus.FORBIDDEN, "this is not the address that was printed")
        url = urlsplit(self.path)
        token, slash, name = url.path.removeprefix("/").partition("/")
        known = _same(token, self.server.token)
        if not slash and (known or self.server.take_code(token)):
            raise Refusal(HTTPStatus.SEE_OTHER, f"/{self.server.token}/")
        if not known:
            raise Refusal(HTTPStatus.FORBIDDEN, "open the address that was printed; it is secret")
        return name, {key: values[0] for key, values in parse_qs(url.query).items()}

    def _get(self, name, given):
        if name in GETS:
            return self._ask(name, [given.get(key, "") for key in GETS[name]])
        if (name or "index.html") in self.server.files:
            return self.server.files[name or "index.html"]
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no such page")

    def _post(self, name, _):
        if name not in POSTS:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is no such page")
        if self.headers.get("Origin") not in {f"http://{host}" for host in self.server.hosts}:
            raise Refusal(HTTPStatus.FORBIDDEN, "only the page itself may ask for this")
        given = self._body()
        values = [given.get(key) for key in POSTS[name]]
        if not all(isinstance(value, str) for value in values):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"expected text for {POSTS[name]}")
        for value in values:
            _check_text(value)
        return self._ask(name, values)

    def _ask(self, name, values):
        found = getattr(self.server.data, name)(*values)
        return "application/json", json.dumps(found, allow_nan=False).encode()

    def _body(self):
        """The JSON object that was sent."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        if len(length) > 12 or int(length) > MOST_BODY:
            most = MOST_TEXT >> 20
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {most} MB of text")
        try:
            return json_object(self.rfile.read(int(length)).decode(), "the request", halves=True)
        except (UnicodeDecodeError, DataError) as problem:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{problem}") from None

    def _refuse(self, status, why):
        self.close_connection = True  # the body may be unread
        if status == HTTPStatus.SEE_OTHER:
            self._send(status, "text/plain", b"", Location=why)
        else:
            self._send(status, "application/json", json.dumps({"error": why}).encode())

    def _send(self, status, content_type, body, **more):
        self.send_response(status)
        connection = "close" if self.close_connection else "keep-alive"
        headers = {"Content-Type": content_type, "Content-Length": len(body)}
        for key, value in {
            **self.headers_sent,
            **headers,
            "Connection": connection,
            **more,
        }.items():
            self.send_header(key, str(value))
        self.end_headers()
        self.wfile.write(body)

    def finish(self):
        """Close the connection, but not on a sender: that would reset it, and lose the answer."""
        super().finish()
        end = time.monotonic() + LINGER
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER)
            while time.monotonic() < end and self.connection.recv(1 << 16):
                pass

    def send_error(self, code, message=None, explain=None):
        """What the base class says of requests that are none."""
        self._refuse(code, message or HTTPStatus(code).phrase)

    def log_message(self, format, *args):
        """Requests are not logged: their paths hold the token."""
