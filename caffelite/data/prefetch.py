"""Batches prepared ahead of their use, by one background thread."""

import atexit
import collections
import itertools
import logging
import os
import threading
import weakref

log = logging.getLogger("caffelite")

_waits = itertools.count()  # how often a batch was not there when asked for; each 1000th is logged


class Prefetch:
    """Serves load(0), load(step), load(2 step), ... in order, up to `depth` of them loaded ahead.

    `load` runs in a thread of its own, which starts with the first batch that is asked for. It
    must not refer to this object's owner: the thread ends when the owner is forgotten. A forked
    process has not got the thread, and starts one when it asks for a batch.
    """

    def __init__(self, load, step, depth):
        self._load, self._step, self._depth = load, step, depth
        self._worker = self._forgotten = None

    def batch(self, position):
        """load(position). Asking for another position than the next one drops what is ready."""
        if self._worker is None or self._worker.lost or self._worker.position != position:
            self.close()
            self._worker = _Worker(self._load, position, self._step, self._depth)
            self._forgotten = weakref.finalize(self, self._worker.stop)
        try:
            return self._worker.take()
        except BaseException:
            self.close()
            raise

    def close(self):
        """Stop the thread and wait for its end; a later `batch` starts another."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._forgotten()
            worker.join()


class _Worker:
    _all: weakref.WeakSet["_Worker"] = weakref.WeakSet()

    def __init__(self, load, position, step, depth):
        self.position = position  # of the batch that `take` gives next
        self._step, self._depth = step, depth
        self._ready = collections.deque()
        self._stopped = False
        self._changed = threading.Condition()
        self._process = os.getpid()
        self._thread = threading.Thread(
            target=self._run, args=(load, position), name="caffelite prefetch", daemon=True
        )
        _Worker._all.add(self)
        self._thread.start()

    @property
    def lost(self):
        """Whether the thread is in the process that this one was forked from.

        It may have held the lock in that moment, so nothing here can be waited for.
        """
        return self._process != os.getpid()

    def take(self):
        """The next batch, or the exception that loading it ended with."""
        with self._changed:
            if not self._ready and next(_waits) % 1000 == 0:
                log.info("Waiting for data")
            self._changed.wait_for(lambda: self._ready)
            batch, problem = self._ready.popleft()
            self._changed.notify_all()
        if problem is not None:
            raise problem
        self.position += self._step
        return batch

    def stop(self):
        """Let the thread end after the batch it is at."""
        if not self.lost:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()

    def join(self, timeout=None):
        """Wait for the thread's end."""
        if not self.lost:
            self._thread.join(timeout)

    def _run(self, load, position):
        while self._wanted():
            self._hand_over(*_attempt(load, position))
            position += self._step

    def _wanted(self):
        """Wait for room for a batch; False once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._ready) < self._depth)
            return not self._stopped

    def _hand_over(self, batch, problem):
        with self._changed:
            self._ready.append((batch, problem))
            self._stopped |= problem is not None
            self._changed.notify_all()


def _attempt(load, position):
    try:
        return load(position), None
    except BaseException as problem:  # raised again where the batch is asked for
        return None, problem


@atexit.register
def _stop_all():
    """End the threads while the interpreter is whole: one caught in C code later may crash."""
    workers = list(_Worker._all)
    for worker in workers:
        worker.stop()
    for worker in workers:
        worker.join(timeout=10)
