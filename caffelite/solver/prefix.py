"""What lies at a snapshot_prefix: snapshots, and what keeps two trainings from mixing theirs."""

import contextlib
import errno
import logging
import os
import re
import tempfile

from ..atomic import passing_start
from ..errors import SolverError
from ..kept_bytes import path_of
from ..lock import HeldElsewhere, locked

log = logging.getLogger("caffelite")

ENDINGS = ("", ".h5")  # of both files of a snapshot, by format


def check_prefix(prefix):
    """Raise a SolverError if snapshots cannot be written at `prefix`, as far as looking tells."""
    if not prefix:
        raise SolverError("snapshot_prefix must be set, since snapshots are to be written")
    prefix = path_of(prefix)
    with _refused(prefix):
        with contextlib.suppress(FileNotFoundError):
            os.stat(f"{prefix}_iter_12345678.solverstate.h5")
        folder = os.path.dirname(os.path.abspath(prefix))
        while not os.path.exists(folder):
            folder = os.path.dirname(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def check_writable(prefix):
    """Raise a SolverError if snapshots cannot be written at `prefix`; makes its directory."""
    check_prefix(prefix)
    folder, name = os.path.split(path_of(prefix))
    with _refused(prefix):
        os.makedirs(folder or ".", exist_ok=True)
        tempfile.NamedTemporaryFile(
            prefix=f"{name}_iter_", suffix=".solverstate.h5", dir=folder or "."
        ).close()


@contextlib.contextmanager
def _refused(prefix):
    try:
        yield
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", problem)
        raise SolverError(f'snapshot_prefix "{prefix}": cannot write there: {reason}') from None


@contextlib.contextmanager
def held(prefix):
    """Keep other processes from writing snapshots at `prefix`, whose folder is there."""
    folder, name = os.path.split(path_of(prefix))
    try:
        taken = contextlib.ExitStack()
        taken.enter_context(locked(os.path.join(folder, f"{passing_start(name)}lock")))
    except HeldElsewhere as problem:
        raise SolverError(
            f'snapshot_prefix "{prefix}": another training writes its snapshots there ({problem}); '
            "wait for its end, or give this one a snapshot_prefix of its own"
        ) from None
    except OSError as problem:  # a file of somebody else, left by a killed process
        log.warning('snapshot_prefix "%s": cannot be locked: %s', prefix, problem.strerror)
    with taken:
        yield


def states(prefix):
    """Paths of the states at a prefix, those of the latest iteration first."""
    return those(prefix, r"\.solverstate(\.h5)?")


def those(prefix, ending):
    """Paths of the files at a prefix with such an ending, those of the latest iteration first."""
    folder, name = os.path.split(path_of(prefix))
    found = []
    for entry in _names(folder):
        match = re.fullmatch(rf"{re.escape(name)}_iter_([0-9]+){ending}", entry)
        if match:
            path = os.path.join(folder, entry)
            with contextlib.suppress(FileNotFoundError):  # it is being removed
                found.append((int(match[1]), written(path), path))
    return [path for _, _, path in sorted(found, reverse=True)]


def written(path):
    """When a state was written; of a link, which may lead nowhere, when that was made."""
    return os.lstat(path).st_mtime


def clear_leftovers(prefix):
    """Remove what killed processes left half-written at a prefix that is held by this one."""
    folder, name = os.path.split(path_of(prefix))
    file = rf"{re.escape(name)}_(iter_[0-9]+|best)\.(caffemodel|solverstate|together)(\.h5)?"
    part = rf"\.{file}\.\w{{8}}\.part"
    for entry in _names(folder):
        if re.fullmatch(part, entry):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, entry))
                log.info("Removed %s, which a killed process left", os.path.join(folder, entry))


def _names(folder):
    try:
        return os.listdir(folder or ".")
    except OSError:  # it is yet to be made
        return []
