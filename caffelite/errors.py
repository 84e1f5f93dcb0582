"""Every exception caffelite raises for a user's mistake, and the one way to say where."""

import difflib


class CaffeliteError(RuntimeError):
    """A mistake in what the user gave: a file, an option, a shape, a value.

    Derived from RuntimeError, which is what pycaffe raises. The message is complete: the command
    line prints it as it stands, without a traceback.
    """


class ProtoError(CaffeliteError):
    """A prototxt, caffemodel or other message that cannot be read."""


class NetError(CaffeliteError):
    """A net that cannot be built or run: wiring, shapes, unknown layer types."""


class DataError(CaffeliteError):
    """A data source that is missing, broken or does not hold what the net expects."""


class WeightsError(CaffeliteError):
    """Weights that cannot be read or do not fit the net."""


class SolverError(CaffeliteError):
    """A solver whose options contradict each other, or a training run that cannot go on."""


def where(file, line=0, column=0):
    """ "FILE:LINE:COLUMN", leaving out what is unknown (0 or empty)."""
    return ":".join(str(part) for part in (file, line, column) if part)


def short(found, length=40):
    """What was found, without what is beyond `length` characters."""
    return found if len(found) <= length else found[:length] + "..."


def did_you_mean(word, known):
    """'; did you mean "X"?' for the nearest of `known`, or '' when none is near."""
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f'; did you mean "{by_lower[near[0]]}"?' if near else ""


def missing_extra(package, extra):
    """The error for an optional package that is not installed."""
    return CaffeliteError(
        f"the package {package} is not installed; it comes with: pip install 'caffelite[{extra}]'"
    )
