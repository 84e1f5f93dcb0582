"""The lines of a log whose bytes come piece by piece, as they do while it is being written."""

import codecs

MOST_RECORD = 1 << 22  # bytes of a line; longer ones come as parts, which are no records
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what Windows PowerShell's > writes


class Lines:
    """Takes bytes and gives lines; what is no UTF-8 in them is replaced.

    The encoding is UTF-8, or UTF-16 if the first bytes say so.
    """

    def __init__(self):
        self.offset = 0  # where in the bytes the next line begins
        self._rest = b""
        self._decoder = None
        self._begun = False

    def feed(self, data):
        """Yield (offset, line), without its end, of each line that is whole by now."""
        lines = (self._rest + self._plain(data)).splitlines(keepends=True)
        self._rest = b""
        for line in lines:
            if line.endswith((b"\n", b"\r")):
                yield self.offset, line.rstrip(b"\r\n").decode("utf-8", "replace")
            elif len(line) <= MOST_RECORD:
                self._rest = line
                return
            self.offset += len(line)

    def last(self):
        """The line that has no end."""
        return self._rest.decode("utf-8", "replace")

    def _plain(self, data):
        """The bytes as UTF-8, without a mark at their head."""
        if not self._begun and data:
            self._begun = True
            if data.startswith(_UTF_16):
                self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
            elif data.startswith(codecs.BOM_UTF8):
                self.offset = len(codecs.BOM_UTF8)
                data = data[self.offset :]
        return self._decoder.decode(data).encode(errors="replace") if self._decoder else data
