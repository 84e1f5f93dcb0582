"""The sections of a Darknet .cfg: [name] lines, each followed by lines KEY=VALUE."""

import re

from ... import reading
from ...errors import ProtoError

MOST_SECTIONS = 10_000
MOST_SIZE = 1 << 24  # of a number that counts or measures something


class Section:
    """A section: its name, its number among the layers, its options, and where each stands.

    Options are asked for by name; those that nobody asked for are in `unread`.
    """

    def __init__(self, path, name, line, index):
        self.path, self.name, self.line, self.index = path, name, line, index
        self._options = {}  # key -> (value, line)
        self._read = set()

    def give(self, key, value, line):
        """Take in an option; of several with one name Darknet takes the first."""
        self._options.setdefault(key, (value, line))

    def __contains__(self, key):
        return key in self._options

    @property
    def unread(self):
        """{key: line} of options that nobody asked for."""
        return {key: at for key, (_, at) in self._options.items() if key not in self._read}

    def error(self, words, key=None):
        """The ProtoError for this section, or for one of its options."""
        line = self._options[key][1] if key in self._options else self.line
        at = f"[{self.name}]" if self.index < 0 else f"layer {self.index} [{self.name}]"
        return ProtoError(f"{at}: {words}", file=self.path, line=line)

    def word(self, key, default=""):
        self._read.add(key)
        return self._options[key][0] if key in self._options else default

    def whole(self, key, default=0, least=0, most=MOST_SIZE):
        """A whole number."""
        found = self.word(key)
        if not found:
            return default
        return reading.integer(found, self._at(key), least=least, most=most, error=ProtoError)

    def number(self, key, default):
        """A number with a fraction."""
        found = self.word(key)
        return reading.number(found, self._at(key), error=ProtoError) if found else default

    def numbers(self, key):
        """The numbers of a list with commas; one at its end is passed over, as Darknet does."""
        parts = self._parts(key)
        return [reading.number(part, self._at(key), error=ProtoError) for part in parts]

    def wholes(self, key, least=-MOST_SECTIONS, most=MOST_SIZE):
        """The whole numbers of such a list."""
        at = self._at(key)
        return [reading.integer(p, at, least=least, most=most, error=ProtoError)
                for p in self._parts(key)]  # fmt: skip

    def _parts(self, key):
        return [part for part in self.word(key).split(",") if part]

    def _at(self, key):
        line = self._options[key][1] if key in self._options else self.line
        return f"{self.path}:{line}: [{self.name}]: {key}"


def read(path):
    """The sections of a .cfg, the first of which is [net]."""
    sections = []
    for line, text in enumerate(reading.lines(path, WANTED, takes=("darknet",)), 1):
        text = re.sub(r"\s|[#;].*", "", text)
        if text.startswith("["):
            if not text.endswith("]") or len(text) < 3:
                raise ProtoError(f'expected [SECTION], not "{text[:40]}"', file=path, line=line)
            sections.append(Section(path, text[1:-1], line, len(sections) - 1))
        elif text:
            key, equals, value = text.partition("=")
            if not (sections and equals and key):
                raise ProtoError(
                    f'expected {WANTED}, a line KEY=VALUE or [SECTION], not "{text[:40]}"',
                    file=path,
                    line=line,
                )
            sections[-1].give(key, value, line)
        if len(sections) > MOST_SECTIONS:
            raise ProtoError(f"has more than {MOST_SECTIONS} sections", file=path, line=line)
    if not sections:
        raise ProtoError("holds no section; expected a Darknet .cfg", file=path)
    if sections[0].name not in ("net", "network"):
        raise sections[0].error("expected [net] as the first section")
    return sections


WANTED = "the text of a Darknet net (.cfg)"


def is_cfg(path):
    """Whether a file is one, by its first lines."""
    from ... import file_kind

    kind = file_kind.of(path)
    return kind is not None and kind.name == "darknet"
