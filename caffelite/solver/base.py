"""Solver: the training loop, tests and snapshots. Update rules and policies have own folders."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import rng
from ..errors import ProtoError, SolverError
from ..measures import Batch, asked_by, of_tests
from ..net import Net
from ..proto import caffe_pb2, forks
from ..proto.assign import assign
from ..proto.caffe_pb2 import NetParameter, PlayerParameter, SolverParameter
from ..proto.given import given
from ..proto.text import read_solver
from ..proto.upgrade import upgrade_solver
from ..types import Path
from . import (
    epochs,
    gradual,
    larc,
    lr_policy,
    nets,
    players,
    prefix,
    regularize,
    restoring,
    snapshot,
)
from .display import Display, diverged, log_outputs
from .hooks import Hooks
from .lowest_loss import LowestLoss
from .monitor import Monitor
from .players import Player
from .rules import RULES
from .samples import Samples

log = logging.getLogger("caffelite")

# Options, and those without which they do nothing.
_ONLY_WITH = {
    "warmup_start_lr": "warmup_iter",
    "rampup_lr": "rampup_interval",
    "max_momentum": "momentum_policy",
    "sample_net": "sample_interval",
    "momentum_power": "momentum_policy",
    "weight_decay_power": "weight_decay_policy",
    "larc_policy": "larc",
    "larc_eta": "larc",
    "local_gw_ratio": "local_lr_auto",
    "ap_version": "eval_type",
    "show_per_class_result": "eval_type",
}


@functools.cache
def solver_class(type_name: str) -> type[Solver]:
    """The class of the solvers of a type, which pycaffe calls TYPESolver."""
    rule = RULES[type_name]
    facts = {"type": type_name, "__doc__": rule.__doc__, "__module__": __package__}
    return type(f"{type_name}Solver", (Solver,), facts)


def get_solver(
    solver: Path | SolverParameter, file: str = "", net_changes: Sequence[str] = ()
) -> Solver:
    """The solver, of the class its `type` names, of a prototxt file or a SolverParameter.

    `file` is where a SolverParameter is from, for messages; `net_changes`, see Solver.
    """
    read_file, param = _read(solver)
    file = file or read_file
    _check_type(param, file)
    return solver_class(param.type)(param, file, net_changes)


def _check_type(param: SolverParameter, file: str) -> None:
    if param.type not in RULES:
        at = f"{file}: " if file else ""
        hint = RULES.instead_of(param.type)
        raise SolverError(f'{at}unknown solver type "{param.type}"{hint}')


def _read(solver: Path | SolverParameter) -> tuple[str, SolverParameter]:
    if isinstance(solver, caffe_pb2.SolverParameter):
        param = caffe_pb2.SolverParameter()
        param.CopyFrom(solver)
        return "", upgrade_solver(param)
    return os.fspath(solver), read_solver(solver)


def unread(param: SolverParameter) -> Iterator[tuple[str, str]]:
    """(option, words) of each option given that does nothing in a SolverParameter."""
    yield from lr_policy.unread(param)
    for option, word in _words_of_forks(param, "passed"):
        if option != "eval_type" or not asked_by(param.eval_type):
            yield option, f"{forks.as_written(option)} {word.said}"
    for ignored in given(param, only=Solver.ignored):
        name = ignored.path[0]
        yield name, f"{name} does nothing here; {Solver.ignored[name]}"
    for name in RULES.unread(param.type, param):
        yield name, f"{param.type} does not look at {name}"
    if param.monitor and not param.early_stop and not lr_policy.goes_by_tests(param):
        words = f"monitor does nothing without early_stop or {lr_policy.those_by_tests()}"
        yield "monitor", words
    if param.momentum_policy != "fixed" and "momentum" not in RULES[param.type].reads:
        yield "momentum_policy", f"{param.type} does not look at momentum_policy"
    for name, needed in _ONLY_WITH.items():
        field = param.DESCRIPTOR.fields_by_name[needed]
        if param.HasField(name) and getattr(param, needed) == field.default_value:
            yield name, f"{name} does nothing without {needed}"
    yield from epochs.unread(param)
    if not (param.rate_in_history or param.momentum):
        yield "rate_in_history", "rate_in_history does nothing without momentum"
    if param.HasField("regularization_type") and not param.weight_decay:
        yield "regularization_type", "regularization_type does nothing without weight_decay"


def refused(param: SolverParameter) -> Iterator[tuple[str, str]]:
    """(option, words) of each option given that changes results elsewhere, and is not done."""
    for option, word in _words_of_forks(param, "refused"):
        yield option, f"{option} {word.said}"


def not_finite(param: SolverParameter) -> Iterator[tuple[str, str]]:
    """(option, words) of each option of the solver itself that is NaN or infinite."""
    own = {field.name for field in param.DESCRIPTOR.fields if field.message_type is None}
    for option in given(param, only=own):
        if words := option.not_finite():
            yield option.path[0], words


def _words_of_forks(param: SolverParameter, kind: str) -> Iterator[tuple[str, forks.Word]]:
    """(option, word) of each word of a fork of this kind in a SolverParameter itself."""
    for option in given(param, only=forks.IN_SOLVERS):
        word = forks.undone(option)
        if word and word.kind == kind:
            yield option.path[0], word


def _missing(param: SolverParameter) -> Iterable[tuple[str, str]]:
    return lr_policy.missing(param) if param.lr_policy else ()


class Solver(Hooks):
    """Trains `net`, and tests it now and then on `test_nets`.

    `rule` is its update rule, of its class's `type` or, in Solver itself, the file's; `history` are
    the arrays that this keeps. `players` are those that train in turns, one without `player` in the
    file; `net` and `rule` are the last one's.

    Parameters
    ----------
    solver : path of a solver prototxt, or a SolverParameter
    file : where a SolverParameter is from, for messages
    net_changes : fields to set in the nets, as `layer[conv1].param[0].lr_mult=0`; test nets that
        lack the layer stay as they are
    """

    type: str | None = None
    ignored: Mapping[str, str] = {  # as in Layer
        "device_id": "there is no GPU",
        "layer_wise_reduce": "backward never waits for an exchange of gradients",
    }

    def __init__(
        self, solver: Path | SolverParameter, file: str = "", net_changes: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.net_changes = list(net_changes)
        read_file, self.param = _read(solver)
        self.file = file or read_file
        self.param.type = self.type or self.param.type
        _check_type(self.param, self.file)
        self.iter = 0
        self.current_step = 0
        self._began = False
        self.state_before_tests = None
        self.keep: int | None = None  # how many snapshots of this run to keep; None: all
        self.written: list[tuple[str, str]] = []  # those snapshots, if it keeps but some
        self._warned: set[str] = set()  # what is said of nets: most have the same layers
        try:
            self.check()
        except SolverError as problem:
            raise SolverError(f"{self.file + ': ' if self.file else ''}{problem}") from None
        for _, words in (*unread(self.param), *_missing(self.param)):
            log.warning("%s%s", f"{self.file}: " if self.file else "", words)
        nets.weights_files(self.param, self.file)
        seed = self.param.random_seed
        self.seed = seed if seed >= 0 else rng.next_seed()
        self.players = [self._make_player(self._seats[-1], 0)]
        self.net = self.players[0].net
        try:
            self.of_epochs = epochs.fill_in(self.param, self.net)
        except SolverError as problem:
            raise self.error(problem) from None
        self.test_nets = [
            self._make_net(source, k + 1)
            for k, source in enumerate(nets.test_nets(self.param, self.file))
        ]
        self._seat_others()
        self._warned_of: set[int] = set()  # test nets with layers that the train net lacks
        try:
            epochs.fill_in_tests(self.param, self.test_nets)
            asked = [self._measures(k) for k in range(len(self.test_nets))]
            self._check_eval_type(asked)
            self.monitor = Monitor(self, asked[0] if asked else [])
        except SolverError as problem:
            raise self.error(problem) from None
        self._display, self.lowest_loss = Display(self), LowestLoss(self)
        self.share_with_test_nets()
        self.transfer = nets.load_weights(self.param, self.file, [self.net, *self.test_nets])
        self._samples = Samples(self) if self.param.sample_interval else None

    # Construction

    def check(self) -> None:
        """Raise a SolverError for options that cannot work."""
        param = self.param
        for _, words in (*refused(param), *not_finite(param)):
            raise SolverError(words)
        if param.lr_policy:
            lr_policy.check(param)
        regularize.check(param)
        larc.check(param)
        gradual.check(param)
        players.check(param)
        for seat in self._seats:
            own = players.param_of(param, seat)
            RULES[own.type](own).check()
            regularize.check(own)
        if param.average_loss < 1:
            raise SolverError(f"average_loss must be at least 1, not {param.average_loss}")
        if param.iter_size < 1:
            raise SolverError(f"iter_size must be at least 1, not {param.iter_size}")
        if param.early_stop < 0:
            raise SolverError(f"early_stop must be at least 0, not {param.early_stop}")
        if param.sample_interval and not param.sample_net:
            raise SolverError("sample_interval is given, but no sample_net: what is to draw?")
        if param.snapshot or param.early_stop or param.sample_interval:
            prefix.check_prefix(param.snapshot_prefix)

    def _make_net(
        self, source: tuple[Path, NetParameter], index: int, frozen: Collection[str] = ()
    ) -> Net:
        file, param = source
        self._change(param, file, is_test=index > 0)
        seed = rng.derive(self.seed, index)
        return Net.from_param(param, file=file, seed=seed, warned=self._warned, frozen=frozen)

    @property
    def _seats(self) -> list[PlayerParameter]:
        """What the file says of each player; of its only one, if it names none, that is nothing."""
        return list(self.param.player) or [PlayerParameter()]

    def _make_player(self, seat: PlayerParameter, index: int) -> Player:
        param = players.param_of(self.param, seat)
        source = nets.train_net(param, self.file)
        frozen = players.frozen_in(source[1], self.param, seat)
        return Player(seat, param, self._make_net(source, index, frozen), frozen)

    def _seat_others(self) -> None:
        """Make the players before the last one, whose net and rule are the solver's."""
        first = 1 + len(self.test_nets)
        others = [self._make_player(seat, first + k) for k, seat in enumerate(self._seats[:-1])]
        self.players = others + self.players
        if self.param.player:
            try:
                players.check_nets(self.param, self.players)
            except SolverError as problem:
                raise self.error(problem) from None
        for player in others:
            self.share_weights(player.net)
        self.rule = self.players[-1].rule
        self.history = players.histories(self.net, self.players)

    def _change(self, param: NetParameter, file: Path, is_test: bool) -> None:
        for words in self.net_changes:
            try:
                assign(param, words, "the net")
            except ProtoError as problem:
                if not is_test:
                    raise ProtoError(f"{file}: {problem}") from None

    # Training

    def solve(self, resume_file: Path | None = None) -> None:
        """Train until max_iter, from a .solverstate if given; snapshot and test at the end."""
        with self.holding_prefix():
            self._solve(resume_file)

    @contextlib.contextmanager
    def holding_prefix(self) -> Iterator[None]:
        """Keep other processes from writing snapshots at this solver's prefix, if it writes any."""
        if self.team.rank or not (
            self.param.snapshot_after_train or self.param.snapshot or self.param.early_stop
        ):
            yield
            return
        snapshot.check(self)
        with prefix.held(self.param.snapshot_prefix):
            prefix.clear_leftovers(self.param.snapshot_prefix)
            yield

    def _solve(self, resume_file: Path | None) -> None:
        log.info("Solving %s", self.net.name)
        log.info("Learning Rate Policy: %s", self.param.lr_policy)
        if resume_file:
            log.info("Restoring previous solver status from %s", resume_file)
            self.restore(resume_file)
        stopped = self.step(self.param.max_iter - self.iter)
        if self.param.snapshot_after_train and not _due(self.iter, self.param.snapshot):
            self.snapshot()
        if stopped:
            log.info("Optimization stopped early.")
            why = "early_stop" if self._is_past_improving() else "request"
            self._emit("stopped", iteration=self.iter, why=why)
            return
        if _due(self.iter, self.param.display):
            last = len(self.net.layers) - 1
            self._display.losses.append(self.team.run(lambda: self.net._forward(0, last))[0])
            log.info("Iteration %d, loss = %g", self.iter, self._display.loss)
        if _due(self.iter, self.param.test_interval):
            self.test_all()
        log.info("Optimization Done.")
        self._emit("done", iteration=self.iter)

    def step(self, n: int) -> bool:
        """Train for `n` iterations; returns whether a request to stop ended it before."""
        end = self.iter + n
        if end > epochs.MOST_ITERATIONS:
            raise self.error(
                f"iteration {end} is beyond the last that a .solverstate tells, "
                f"{epochs.MOST_ITERATIONS}"
            )
        self._display = Display(self)
        while self.iter < end:
            if self.iterate():
                return True
            if self._samples and _due(self.iter, self.param.sample_interval):
                self._samples.draw()
            wanted = self._take_requests("snapshot")
            if wanted or _due(self.iter, self.param.snapshot):
                self.snapshot()
            if self._stop_requested():
                return True
        return False

    def iterate(self, gradients: Callable[[], float] | None = None) -> bool:
        """One iteration, after the tests that are due; returns whether these ended training.

        `gradients()` is called iter_size times; it adds to the diffs of the net's learnable blobs,
        and returns the loss. By default it is a forward and a backward of the net.
        """
        if gradients and len(self.players) > 1:
            raise self.error("has several players: gradients of one net are no iteration of it")
        if not self._began:
            self._began = True
            for player in self.players:
                nets.tell_of_missing_statistics(player.net)
                nets.tell_of_closed_layers(player.net)
        for player in self.players:
            player.net.clear_param_diffs()
        if _due(self.iter, self.param.test_interval) and (
            self.iter > 0 or self.param.test_initialization
        ):
            self.test_all()
            if self._stop_requested():
                return True
            if self._is_past_improving():
                log.info("early_stop: %s", self.monitor)
                return True
        self._call("on_start")
        displayed = _due(self.iter, self.param.display)
        losses = self._take_turns(gradients, displayed and self.param.debug_info)
        loss = losses[self.players[-1].name]
        self._display.losses.append(loss)
        self.lowest_loss.see(loss)
        facts = self._display.show() if displayed else {}
        self._call("on_gradients_ready")
        rate = self.apply_update()
        if displayed:
            self._emit("train", lr=rate, **facts)
        facts = {"lr": rate, "images": self.batch_size, **self.team.facts()}
        if len(losses) > 1:
            facts["losses"] = losses
        self._emit("step", iteration=self.iter, loss=loss, **facts)
        return False

    def _take_turns(
        self, gradients: Callable[[], float] | None, debug_info: bool
    ) -> dict[str, float]:
        """The steps of all players, but for the update of the very last; returns their losses."""
        losses = {}
        for player in self.players:  # whose schedules end where the solver's does, set since or not
            player.param.max_iter = self.param.max_iter
        turns = [(player, step) for player in self.players for step in range(player.steps)]
        for player, step in turns:
            player.net.debug_info = debug_info
            passes = functools.partial(self._sum_gradients, player, gradients)
            losses[player.name], asked = self.team.run(passes, self._take_asked())
            self._requests += asked
            if (player, step) != turns[-1]:
                player.move(self.iter, step, self.current_step)
                player.net.clear_param_diffs()
        return losses

    def _sum_gradients(self, player: Player, gradients: Callable[[], float] | None) -> float:
        """iter_size passes, whose gradients add up; returns their mean loss."""
        loss, size, net = 0.0, player.param.iter_size, player.net
        try:
            for number in range(1, size + 1):
                net.gradients_are_final = number == size
                one = (gradients or net.forward_backward)()
                if not math.isfinite(one):
                    raise diverged(self.iter, player, one)
                loss += one
        finally:
            net.gradients_are_final = True
        return loss / size

    def apply_update(self) -> float:
        """One update of the learnable blobs from their diffs; counts as an iteration.

        Of several players it is the last one's. Returns the learning rate.
        """
        rate, last = self.lr, self.players[-1]
        if _due(self.iter, self.param.display):
            log.info("Iteration %d, lr = %g", self.iter, rate)
        last.move(self.iter, last.steps - 1, self.current_step)
        self.iter += 1
        self.state_before_tests = None
        return rate

    @property
    def lr(self) -> float:
        """The learning rate at this iteration. Asking for it may move a multistep schedule on."""
        param = self.players[-1].param
        rate, self.current_step = lr_policy.rate_at(param, self.iter, self.current_step)
        return rate

    @property
    def batch_size(self) -> int:
        """Samples an iteration: axis 0 of the first blob that has axes, times iter_size.

        Of processes that train together, it is the samples of all.
        """
        return epochs.batch_of(self.net) * self.param.iter_size * self.team.size

    # Testing

    def test_all(self) -> None:
        """Test every test net on test_iter batches; plateau and early_stop go by the first.

        A snapshot before the next update is of the state before these tests, since a run that is
        resumed from it tests anew.
        """
        self.state_before_tests = snapshot.state_of(self)
        self.team.check_weights(self)
        self.team.share_statistics(self.net)
        for k in range(len(self.test_nets)):
            if self.test(k, judge=self._judge if k == 0 else None) is None:
                break

    def _judge(self, loss: float, outputs: dict[str, Any]) -> None:
        """Keep the best model, and move plateau's step on."""
        param = self.param
        if self.monitor.see(loss, outputs, self.iter):
            if param.early_stop and self.team.rank == 0:
                model = snapshot.write_best(self)
                self._emit("best", iteration=self.iter, model=model)
        elif lr_policy.goes_by_tests(param) and self.monitor.step_is_due(lr_policy.patience(param)):
            if lr_policy.is_at_floor(param, self.iter, self.current_step):
                return
            self.current_step += 1
            status = f"{param.lr_policy.capitalize()} Status"
            log.info("%s: Iteration %d, step = %d", status, self.iter, self.current_step)

    def _is_past_improving(self) -> bool:
        """Whether early_stop has seen enough tests that were no better."""
        limit = self.param.early_stop
        return bool(limit) and self.monitor.so_far.tests_since_best >= limit

    def test(
        self, k: int = 0, judge: Callable[[float, dict[str, Any]], object] | None = None
    ) -> dict[str, Any] | None:
        """Average the outputs of test net k over its test_iter batches, log and return them.

        `judge(loss, outputs)` is called with the averages. A request to stop ends it with None.
        """
        net = self.test_nets[k]
        log.info("Iteration %d, Testing net (#%d)", self.iter, k)
        self.share_weights(net)
        self._warn_of_untrained(k)
        net.debug_info = self.param.debug_info
        measures = self._measures(k)
        for has_turn in self.team.turns(net, self.param.test_iter[k]):
            self._share_requests()
            if self._take_requests("snapshot"):
                self.snapshot()
            if self._pending("stop"):
                log.info("Test interrupted.")
                return None
            if has_turn:
                batch = Batch.run(net)
                for measure in measures:
                    measure.add(batch)
        measures = self.team.tested(net, measures, self.param.test_iter[k])
        loss = measures[0].loss
        outputs = {n: value for measure in measures for n, value in measure.figures().items()}
        details = {n: value for measure in measures for n, value in measure.details().items()}
        if self.param.test_compute_loss:
            log.info("Test loss: %g", loss)
        for name, value in details.items():
            log.info("%s: %g", name, value)
        log_outputs("Test", net.blob_loss_weights, outputs)
        outputs |= details
        self._emit("test", iteration=self.iter, net=k, loss=loss, outputs=outputs)
        if judge:
            judge(loss, outputs)
        return outputs

    def _measures(self, k: int) -> Sequence[Any]:
        """What a test of test net k asks: means first."""
        return of_tests(self.test_nets[k], self.param)

    def _check_eval_type(self, asked: Sequence[Sequence[Any]]) -> None:
        """Raise a SolverError if no test net has what eval_type is about."""
        kinds = asked_by(self.param.eval_type)
        found = {type(measure) for measures in asked for measure in measures}
        if asked and kinds and found.isdisjoint(kinds):
            compared = " or ".join(f'"{kind.compares}"{kind.where}' for kind in kinds)
            raise SolverError(
                f'eval_type: "{self.param.eval_type}" asks for a layer that compares {compared}, '
                "and the test net has none"
            )

    def _warn_of_untrained(self, k: int) -> None:
        """Say once of which layers test net k has weights of its own, by their fillers."""
        names = [f'"{layer.name}"' for layer, _ in self.test_nets[k].unfilled_layers()]
        if names and k not in self._warned_of:
            self._warned_of.add(k)
            log.warning(
                "%s: test net #%d computes with what fillers gave its layers %s: the train net, "
                "whose weights it shares by names of layers, has none of these",
                *(self.file, k, ", ".join(names)),
            )

    # Snapshots

    def snapshot(self) -> tuple[str, str]:
        """Write the model and the solver's state; returns their paths."""
        self.team.share_statistics(self.net)
        if self.team.rank:
            return snapshot.paths(self)
        model, state = snapshot.write(self)
        self._emit("snapshot", iteration=self.iter, model=model, state=state)
        return model, state

    def restore(self, path: Path, allow_other_weights: bool = False) -> None:
        """Go on from a .solverstate, or .solverstate.h5, and the model file that it names.

        A model with other weights than the state was written with is refused, unless
        `allow_other_weights` says that they were changed on purpose.
        """
        file = os.fspath(path)
        self.team.lead(self, lambda: restoring.restore(self, file, allow_other_weights))

    def resume(self, allow_other_weights: bool = False) -> str | None:
        """Restore the latest snapshot at snapshot_prefix that is whole; returns its path.

        None where there is no snapshot yet. Damaged ones are passed over, with a warning.
        """
        return self.team.lead(self, lambda: restoring.resume(self, allow_other_weights))

    def share_with_test_nets(self) -> None:
        """Let the test nets use the train net's weights: from the start, and whatever these become.

        Each test does so anew, for nets that were given others meanwhile.
        """
        for net in self.test_nets:
            self.share_weights(net)

    def share_weights(self, net: Net) -> None:
        """Let `net` use the train net's weights, by layer name."""
        net.share_with(self.net)

    def error(self, text: object) -> SolverError:
        """The exception for a mistake in the solver's file."""
        return SolverError(f"{self.file + ': ' if self.file else ''}{text}")


def _due(iteration: int, interval: int) -> bool:
    return interval != 0 and iteration % interval == 0
