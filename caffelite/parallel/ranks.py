"""The processes that train together, as a solver sees them: what it asks its team for, over MPI."""

import functools
import socket
import time

import numpy as np

from ..data.source import Shard
from ..errors import SolverError
from ..kernels import tuning
from ..net import checksum
from ..net.batches import passes
from ..proto import caffe_pb2
from ..solver import epochs, restoring, snapshot
from ..solver.team import Alone
from . import agreement
from .exchange import Exchange
from .standstill import LIMIT, Watch

REQUESTS = "stop", "snapshot"


class Ranks(Alone):
    """The team of a solver whose batches are shared out to the processes of a communicator.

    Parameters
    ----------
    comm : the communicator, an mpi4py.MPI.Comm
    divides_batch : whether the train net's batches are those of all ranks together
    exchange, half, bucket : how gradients are exchanged, whether as float16, and how many bytes
        set out together; see Exchange
    sync_bn : whether layers that normalize by a batch's statistics take those of the whole batch
    timeout, all_along : seconds after which a rank that stands still ends all, and where; see Watch
    """

    def __init__(
        self,
        comm,
        sync_bn=False,
        divides_batch=False,
        exchange="auto",
        half=False,
        bucket=None,
        timeout=LIMIT,
        all_along=False,
    ):
        self.sync_bn, self.divides_batch = sync_bn, divides_batch
        self.exchange = Exchange(comm, exchange, half, bucket)
        self.comm = comm.Dup()
        self.rank, self.size = comm.rank, comm.size
        self.host = socket.gethostname()
        self.watch = Watch(self.comm, timeout, all_along)
        self._runs = False  # passes whose batch is shared out
        self._samples = 0  # of this rank, in `run`
        self._waited = self._busy = 0.0  # seconds of each rank, since `facts` were asked for
        self.note = lambda name, kind, began: None  # see Trace

    def __str__(self):
        return (
            f"{self.size} ranks, each with a part of every batch; this one runs on {self.host}; "
            f"gradients set out in buckets of {self.exchange.bucket / 2**20:g} MB; a rank that "
            f"stands still for {self.watch.limit:g} s ends all"
        )

    def join(self, solver):
        """Become the team of a solver that `check` has passed; it goes on from rank 0's state."""
        solver.team = self
        self.check_same(self._settings() | agreement.facts_of(solver))
        tuning.take(self.comm.bcast(tuning.thresholds(tuning.threads_here())))  # rank 0's
        self._fill_in_epochs(solver)
        for player in solver.players:
            player.net.on_gradients_ready(self._take)
            player.net.after_backward(self._progress)
            player.net.before_backward(functools.partial(self._count_samples, player.net))
        self._share_state(solver)
        self.check_same(agreement.data_of(solver))

    def check_same(self, facts):
        """Raise an error on all ranks if they differ in one of the facts, {what: text}."""
        agreement.check_same(self.comm, self.host, facts)

    def _settings(self):
        """What ranks exchange, and how: where one differs, others would wait for it forever."""
        exchange = self.exchange
        return {
            "exchange": exchange.way.__name__,
            "choice of float16": str(exchange.half),
            "size of buckets": f"{exchange.bucket} bytes",
            "choice of sync_bn": str(self.sync_bn),
            "choice of a batch of all ranks together": str(self.divides_batch),
        }

    def _fill_in_epochs(self, solver):
        for option in solver.of_epochs:
            solver.param.ClearField(option)
        epochs.fill_in(solver.param, solver.net, self.size)

    def check(self, solver):
        """Let layers take what is of this rank; raise an error for what cannot be shared out."""
        trained = [player.net for player in solver.players]
        for net in (*trained, *solver.test_nets):
            shard = Shard(self.rank, self.size, whole_batches=net not in trained)
            for layer in net.layers:
                layer.share_out(shard, self.gathered)
                layer.whole_statistics = self.sync_bn
                if layer.carried:
                    raise layer.error(
                        "carries values from batch to batch, which cannot be shared out to "
                        f"{self.size} processes; train this net in one",
                        SolverError,
                    )
        for net in trained:
            if self.divides_batch:
                self._divide_batches(net)
            self._check_samples(net)

    def _check_samples(self, net):
        for layer, samples, batch in passes(net):
            if samples is not None and samples < batch * self.size:
                raise layer.error(
                    f"has {samples} samples, expected at least {batch * self.size}, a batch of "
                    f"{batch} for each of {self.size} ranks",
                    SolverError,
                )

    def _divide_batches(self, net):
        sizes = {layer: batch for layer, _, batch in passes(net)}
        for node in net.nodes:
            if node.layer not in sizes:
                continue
            batch, rest = divmod(sizes[node.layer], self.size)
            if rest or not batch:
                raise node.layer.error(
                    f"its batch_size, {sizes[node.layer]}, cannot be divided by {self.size} ranks",
                    SolverError,
                )
            node.layer.set_batch_size(batch)
            node.refresh()

    # Passes of a net that is trained

    def run(self, passes, asked=()):
        self._runs, waited, began = True, self.exchange.waited, time.perf_counter()
        self._samples = 0
        self.watch.moved(amid_pass=True)
        try:
            loss = passes()
            ended = time.perf_counter()
            self.exchange.finish()
            self.note("until gradients are there", "waiting", ended)
        finally:
            self._runs = False
            self.watch.moved()
        waits, seconds = self.exchange.waited - waited, time.perf_counter() - began
        told = [loss, waits, seconds, self._samples, *(request in asked for request in REQUESTS)]
        every = self._gathered(np.array(told, np.float64))
        losses, waits, seconds, samples, *requests = every.T
        self._check_alike(samples)
        self._waited, self._busy = self._waited + waits, self._busy + seconds - waits
        wanted = [name for name, by in zip(REQUESTS, requests, strict=True) if by.any()]
        return float(losses.mean()), wanted

    def _gathered(self, array):
        """What each rank has, along a new axis."""
        every = np.empty((self.size, *array.shape), array.dtype)
        self.comm.Allgather(np.ascontiguousarray(array), every)
        return every

    def _take(self, blobs):
        if self._runs:
            for blob in blobs:
                self.exchange.add(blob.diff)

    def _count_samples(self, net, place):
        if place == len(net.layers) - 1:
            self._samples += epochs.batch_of(net)

    def _check_alike(self, samples):
        """Raise an error unless each rank had as many samples: else means are not the batch's."""
        rank = int(np.argmax(samples != samples[0]))
        if rank:
            raise SolverError(
                f"rank {rank} had {samples[rank]:g} samples in an iteration, rank 0 "
                f"{samples[0]:g}; all need as many: what brings data along, as a Python layer, is "
                "to fill up the last batch of an epoch with samples of the next, or leave it out"
            )

    def _progress(self, place):
        if self._runs:
            self.watch.moved(amid_pass=True)
            self.exchange.progress()

    def gathered(self, value):
        """What each rank has, an array or number, along a new axis 0; see Layer."""
        value = np.asarray(value)
        return self._gathered(value) if self._runs else np.stack([value] * self.size)

    def mean_outputs(self, outputs):
        means, every = {}, self.comm.allgather(outputs)
        for name, own in outputs.items():
            values = [one[name] for one in every]
            alike = all(value.shape == own.shape for value in values)
            means[name] = np.mean(values, axis=0, dtype=np.float64) if alike else own
        return means

    def facts(self):
        waited, busy = self._waited, self._busy
        self._waited = self._busy = 0.0
        facts = {
            "waiting": waited.sum() / (waited + busy).sum(),
            "imbalance": busy.max() / busy.mean() - 1,
        }
        if (rounding := self.exchange.rounding()) is not None:
            facts["rounding"] = rounding
        return facts

    # What all ranks do alike

    def union(self, asked):
        every = self._gathered(np.array([request in asked for request in REQUESTS]))
        return [name for name, by in zip(REQUESTS, every.T, strict=True) if by.any()]

    def lead(self, solver, work):
        found = work() if self.rank == 0 else None
        found, _ = self.comm.bcast((found, None))
        self._share_state(solver)
        return found

    def _share_state(self, solver):
        """Let all have the state of rank 0: weights, histories, positions, and what tests gave."""
        state = snapshot.state_of(solver).SerializeToString() if self.rank == 0 else b""
        state = caffe_pb2.SolverState.FromString(self.comm.bcast(state))
        histories = snapshot.histories_of(solver)
        for array in (*(blob.data for blob in self._blobs(solver)), *histories):
            self.comm.Bcast(array)
        if self.rank:
            restoring.take_up(solver, state, [array.copy() for array in histories])

    @staticmethod
    def _blobs(solver):
        """The learnable blobs, and statistics, that own their values."""
        return [entry.blob for entry in solver.net.learnable]

    def share_statistics(self, net):
        for layer in net.layers:
            for name, blob in zip(layer.blob_names, layer.blobs, strict=True):
                if name in layer.statistics:
                    every = np.stack(self.comm.allgather(blob.data))
                    blob.data[...] = every.mean(axis=0, dtype=np.float64)

    def check_weights(self, solver):
        lines = []
        for entry in solver.net.learnable:
            layer = solver.net.layer_dict[entry.layer]
            if layer.blob_names[entry.index] not in layer.statistics:
                crc = checksum.of_array(entry.blob.data)
                lines.append(checksum.line(entry.layer, entry.index, entry.blob.shape, crc))
        every = self.comm.allgather((self.host, lines))
        for rank, (host, theirs) in enumerate(every):
            differing = [a for a, b in zip(every[0][1], theirs, strict=True) if a != b]
            if differing:
                blob = differing[0].partition(" ")[0]
                raise SolverError(
                    f"iteration {solver.iter}: rank {rank}, on {host}, has come to other weights "
                    f'than rank 0, on {every[0][0]}, first in blob "{blob}": processors or '
                    "versions of libraries differ; go on from the last snapshot on hosts that "
                    "are alike"
                )

    # Tests

    def turns(self, net, count):
        self._before = [layer.position for layer in net.layers]
        try:
            for first in range(0, count, self.size):
                self.watch.moved(amid_pass=True)
                yield first + self.rank < count
        finally:
            self.watch.moved()

    def tested(self, net, measures, count):
        every = self.comm.gather(measures)
        if self.rank == 0:
            for k, measure in enumerate(measures):
                for theirs in every[1:]:
                    measure.merge(theirs[k])
        self._count_batches(net, count)
        return self.comm.bcast(measures)

    def _count_batches(self, net, count):
        """Let the layers of a test net be where one process would be after `count` batches."""
        at = self.comm.bcast([layer.position for layer in net.layers])
        rounds = -(-count // self.size)  # of which rank 0 has run one batch each
        for layer, position, began in zip(net.layers, at, self._before, strict=True):
            layer.seek(began + (position - began) // (rounds * self.size) * count)
