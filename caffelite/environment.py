"""What the environment says, read in one place, so that no switch is misspelt in silence."""

import os
import sys

from .errors import CaffeliteError, did_you_mean


def choice(name, allowed, default):
    """The value of variable `name`, one of `allowed`; `default` where it is not set or empty."""
    value = os.environ.get(name) or default
    _check(name, value, [value], allowed, "one of")
    return value


def choices(name, allowed):
    """The values in variable `name`, with commas between them; None where it is not set."""
    text = os.environ.get(name)
    if not text:
        return None
    values = [value.strip() for value in text.split(",")]
    _check(name, text, values, allowed, "some, with commas between them, of")
    return values


def number(name, default, of):
    """The number in variable `name`, above 0; `default` where it is not set or empty."""
    text = os.environ.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        raise CaffeliteError(f'the environment has {name}="{text}", expected a number of {of}')
    return int(text)


def user_cache():
    """The folder of what is kept for the user to have it sooner the next time."""
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        root = "~/Library/Caches"
    else:
        root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return os.path.join(os.path.expanduser(root), "caffelite")


def _check(name, text, values, allowed, how_many):
    for value in values:
        if value not in allowed:
            names = ", ".join(f'"{word}"' for word in allowed)
            raise CaffeliteError(
                f'the environment has {name}="{text}", expected {how_many} {names}'
                f"{did_you_mean(value, allowed)}"
            )
