"""The prototxt that the page edits: read, and saved unless somebody else changed it meanwhile."""

import hashlib
import threading

from ..atomic import write_atomically
from ..errors import CaffeliteError
from ..kept_bytes import bytes_of
from ..proto.caffe_pb2 import NetParameter
from ..proto.text import read_text, with_plain_newlines


class ChangedOnDiskError(CaffeliteError):
    """The file is no longer what the page was given."""


class NetFile:
    """A prototxt; a version, from `read` or `save`, names the contents that it had then."""

    def __init__(self, path):
        self.path = path
        self._lock = threading.Lock()

    def read(self):
        """(text, version)"""
        text = read_text(self.path, NetParameter)
        return text, _version(text)

    def save(self, text, version):
        """Make `text` the file's, with the file's newlines; returns the new version."""
        with self._lock:
            before, now = self.read()
            if now != version:
                raise ChangedOnDiskError(f"{self.path} was changed on disk; nothing was saved")
            if "\r\n" in before:
                text = with_plain_newlines(text).replace("\n", "\r\n")
            write_atomically(self.path, bytes_of(text))
        return _version(text)


def _version(text):
    return hashlib.sha256(text.encode()).hexdigest()
