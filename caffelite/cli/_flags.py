"""Flags as Caffe's command line takes them (gflags), on top of argparse."""

import argparse
import re

from ..errors import did_you_mean
from ..reading import integer, number

_FLAG = re.compile(r"--?([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
_TRUTH = dict.fromkeys(("true", "t", "1", "yes", "y"), True) | dict.fromkeys(
    ("false", "f", "0", "no", "n"), False
)


class UsageError(Exception):
    """A mistake on the command line that shows only when a command looks at its flags together."""


def int32(text):
    """The number of a flag that counts something: what fits into 32 bits, as in files."""
    return integer(text, "", error=argparse.ArgumentTypeError)


def finite(text):
    """The number of a flag, neither nan nor infinite."""
    return number(text, "", error=argparse.ArgumentTypeError)


def at_least(least):
    """The type of a flag that is a whole number, from `least` on."""
    return lambda text: integer(text, "", least=least, error=argparse.ArgumentTypeError)


def from_0(text):
    """The number of a flag that is 0 or more."""
    found = finite(text)
    if found < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, not {text!r}")
    return found


def above_0(text):
    """The number of a flag that is more than 0."""
    if not (found := from_0(text)):
        raise argparse.ArgumentTypeError(f"expected more than 0, not {text!r}")
    return found


def megabytes(text):
    """The bytes of a flag that counts MB of 2^20."""
    value = number(text, "", error=argparse.ArgumentTypeError)
    if not 0.001 <= value <= 4096:
        raise argparse.ArgumentTypeError(f"expected 0.001 to 4096 MB, not {text!r}")
    return int(value * 2**20)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser for -flag, --flag, -flag=value, -no_flag; `-` and `_` in names are one."""

    def __init__(self, **options):
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def parse_args(self, args=None, namespace=None):
        """As ever, but flags may stand between positionals: draw MODEL --fold OUT."""
        if any(action.nargs == argparse.REMAINDER for action in self._actions):
            return super().parse_args(args, namespace)
        namespace, more = self.parse_known_intermixed_args(args, namespace)
        if more:
            self.error(self._too_much(more, namespace))
        return namespace

    def parse_known_args(self, args=None, namespace=None):
        return super().parse_known_args(self._as_argparse_has_them(args), namespace)

    def _too_much(self, words, given):
        """What to say of words that no positional is left for: where files may belong."""
        places = " ".join(a.metavar or a.dest for a in self._get_positional_actions())
        files = [
            a.option_strings[0]
            for a in self._get_optional_actions()
            if a.metavar == "FILE" and getattr(given, a.dest) is None
        ]
        found = f"unexpected {' '.join(words)}: expected {places or 'flags'} and no more"
        return found + (f"; files may also be given with {', '.join(files)}" if files else "")

    def _as_argparse_has_them(self, words):
        options = {_plain(o): o for o in self._option_string_actions if not o.startswith("--no-")}
        command_follows = any(a.nargs == argparse.REMAINDER for a in self._actions)
        result = []
        for place, word in enumerate(words):
            match = _FLAG.fullmatch(word)
            if word == "--" or (command_follows and not match):
                return result + words[place:]
            result += self._respell(word, *match.groups(), options) if match else [word]
        return result

    def _respell(self, word, name, value, options):
        name = _plain(name)
        negated = name not in options and name.startswith("no") and name[2:].lstrip("_") in options
        option = options.get(name[2:].lstrip("_") if negated else name)
        action = self._option_string_actions.get(option)
        if action is None or (negated and action.nargs != 0):
            known = [o for o in self._option_string_actions if o.startswith("--")]
            self.error(f"unknown flag {word}{did_you_mean('--' + name, known)}")
        if action.nargs != 0:
            return [option] if value is None else [f"{option}={value}"]
        return self._boolean(action, option, not negated, value)

    def _boolean(self, action, option, wanted, value):
        if value is not None:
            if value.lower() not in _TRUTH:
                self.error(f"{option} is on or off: expected true or false, not {value!r}")
            wanted = wanted == _TRUTH[value.lower()]
        if wanted:
            return [option]
        if isinstance(action, argparse.BooleanOptionalAction):
            return ["--no-" + option.lstrip("-")]
        return []


def _plain(option):
    return option.lstrip("-").replace("-", "_")
