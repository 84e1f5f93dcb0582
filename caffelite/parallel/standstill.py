"""A rank that stands still without an error ends all of them, after a time limit, and says where.

Each rank has a thread that looks, now and then, how long ago the rank got any further. One that
stands still amid a pass, and does not wait for others, ends all; where no script of a user's runs,
one that does so elsewhere, as in reading at the start, does, too. One that waits calls the roll:
then each rank's thread answers with what it is at. What a script stands still in is found out so,
if others wait for it; and who does not answer is stopped, or its machine cannot be reached. A rank
whose script ends says so to the others: those that wait for it end all.
"""

import atexit
import os
import socket
import sys
import threading
import time
from collections import deque

from ..layers import Layer
from .faults import STAGGER, end_with, who

LIMIT = 1800.0  # seconds: compiling kernels, and the largest batch from the slowest disk, take less
_HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 10.0  # seconds to wait for a rank that has ended, whose last messages may be under way
_CALL, _ANSWER, _FAREWELL = 1, 2, 3  # tags of messages


class Watch:
    """Looks after this rank; `moved` tells it that the rank got further.

    Parameters
    ----------
    comm : the communicator of the ranks
    limit : seconds
    all_along : whether this rank gets further outside of passes, too: no script has its own time
    """

    def __init__(self, comm, limit=LIMIT, all_along=False):
        from .launch import load

        MPI = load()
        self.limit, self._all_along = limit, all_along
        self._pause = min(1.0, limit / 10)
        self.moved()
        self._calls = MPI.Query_thread() == MPI.THREAD_MULTIPLE
        self._comm = comm.Dup()
        self._hosts = comm.allgather(socket.gethostname())
        self._sent = deque(maxlen=1 << 12)  # requests, which hold what is on its way
        self._others = set(range(comm.size)) - {comm.rank}
        self._gone = set()  # those whose scripts have ended
        self._leaves = False  # this one's script has
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caffelite watch", daemon=True)
        self._thread.start()
        atexit.register(self.leave)

    def moved(self, amid_pass=False):
        """Take note that this rank got further, in this thread, and whether it is amid a pass."""
        self._main, self._since = threading.get_ident(), time.monotonic()
        self._amid_pass = amid_pass

    def close(self):
        """Look no more."""
        self._ended.set()
        self._thread.join()
        atexit.unregister(self.leave)

    def leave(self):
        """Look no more as soon as all leave; MPI would not let this process end before, either."""
        if self._calls:
            self._leaves = True
            for rank in self._others:
                self._sent.append(self._comm.isend(None, rank, _FAREWELL))
            while self._gone < self._others and self._thread.is_alive():
                time.sleep(0.05)
        self.close()

    def _run(self):
        looked = time.monotonic()
        while not self._ended.wait(self._pause):
            before, looked = looked, time.monotonic()
            if looked - before > self.limit / 2:
                self._since = looked  # a scheduler had stopped this process, not only its training
            if self._calls:
                self._answer()
            seconds, waits, place = self._state()
            if self._leaves or seconds <= (PATIENCE if waits and self._gone else self.limit):
                continue
            if (self._amid_pass or self._all_along) and not waits:
                self._end({self._comm.rank: f"{_still(seconds)}, {place}"}, self._after())
            elif waits and self._calls:
                self._call_the_roll(seconds, place)

    def _state(self):
        """(seconds since this rank got further, whether it waits for others, what it is at)."""
        seconds, stack = time.monotonic() - self._since, _stack(self._main)
        waits = bool(stack) and os.path.dirname(stack[0].f_code.co_filename) == _HERE
        return seconds, waits, _place(stack)

    def _answer(self):
        for caller in self._received(_CALL):
            self._sent.append(self._comm.isend(self._state(), caller, _ANSWER))
        self._gone.update(self._received(_FAREWELL))

    def _received(self, tag):
        """The senders of messages with this tag."""
        from .launch import load

        status = load().Status()
        while self._comm.Iprobe(tag=tag, status=status):
            sender = status.Get_source()
            self._comm.recv(source=sender, tag=tag)
            yield sender

    def _call_the_roll(self, waited, place):
        """Ask all others what they are at; end all if one stands still, has ended, or is silent.

        Silence counts after the time limit.
        """
        others = self._others
        for rank in others:
            self._sent.append(self._comm.isend(None, rank, _CALL))
        found, end = {}, time.monotonic() + 10 * self._pause
        while others - found.keys() and time.monotonic() < end and not self._ended.wait(0.05):
            self._answer()
            for rank in others - found.keys():
                if self._comm.Iprobe(source=rank, tag=_ANSWER):
                    found[rank] = self._comm.recv(source=rank, tag=_ANSWER)
        if self._ended.is_set() or not self._state()[1]:
            return
        if self._gone and all(found.get(rank, (0, False))[1] for rank in others - self._gone):
            told = f"its script has ended, while rank {self._comm.rank} waits for it, {place}"
            self._end(dict.fromkeys(self._gone, told))
            return
        if waited <= self.limit:
            return
        silent = f"does not answer, while rank {self._comm.rank} has waited for {waited:.0f} s: "
        silent += "its process is stopped, or its machine cannot be reached"
        causes = dict.fromkeys(others - found.keys(), silent)
        for rank, (seconds, waits, at) in found.items():
            if seconds > self.limit and not waits:
                causes[rank] = f"{_still(seconds)}, {at}"
        if not causes and all(waits and s > self.limit for s, waits, _ in found.values()):
            for rank, (seconds, _, at) in found.items():
                causes[rank] = f"waits for others, which wait, too, for {seconds:.0f} s, {at}"
        if causes:
            self._end(causes, self._after())

    def _after(self):
        return f"\n(--timeout says after how long: {self.limit:g} s)"

    def _end(self, causes, more=""):
        """End all ranks because of {rank: why}."""
        time.sleep(min(self._comm.rank, 5) * STAGGER)
        text = "\n".join(
            f"{who(rank, self._comm.size, self._hosts[rank])}: {why}"
            for rank, why in sorted(causes.items())
        )
        end_with(self._comm, text + more)


def _still(seconds):
    return f"stands still for {seconds:.0f} s"


def _stack(thread):
    """The frames of a thread, the innermost one first."""
    frame, frames = sys._current_frames().get(thread), []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _place(stack):
    """What the frames are at, and the threads that read data: layer, file, line and function."""
    layers = [frame.f_locals.get("self") for frame in stack if "self" in frame.f_code.co_varnames]
    # one that is being made may not know yet where it is
    made = [one for one in layers if isinstance(one, Layer) and hasattr(one, "at")]
    words = [f"at {made[-1].at}"] if made else []
    words += [f"in {_line(stack)}"] if stack else []
    for thread in threading.enumerate():
        if thread.name == "caffelite prefetch" and (frames := _stack(thread.ident)):
            words.append(f"reading ahead in {_line(frames)}")
    return "; ".join(words)


def _line(stack):
    """File, line and function of the innermost frame that is none of Python's own."""
    own = os.path.dirname(os.__file__)
    theirs = [f for f in stack if os.path.dirname(f.f_code.co_filename) != own]
    frame = (theirs or stack)[0]
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, {frame.f_code.co_name}"
