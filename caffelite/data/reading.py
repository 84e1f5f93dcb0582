"""Files that users name, opened for reading."""

from ..errors import DataError


def opened(path, mode="r", **how):
    """The file, open; where it cannot be opened, a DataError that says why."""
    try:
        return open(path, mode, **how)
    except OSError as problem:
        reason = problem.strerror
    except ValueError as problem:  # no system takes such a name
        reason = problem
    raise DataError(f"{path}: cannot be read: {reason}")
