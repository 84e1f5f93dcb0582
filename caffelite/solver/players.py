"""Players: nets that a solver trains in turns, each against or beside the others.

A solver prototxt without `player` has one, the solver itself. With some, each has a net of its own,
filtered with its name as a stage, and moves the layers that it trains by the loss of that net. What
its net has of the layers of others holds still there, and follows what those make of it: so a
generator learns through a discriminator. All nets share weights by names of layers; the net of the
last player has all of them, and is the solver's `net`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from ..errors import SolverError
from ..net import Net
from ..net.learnable import Learnable
from ..proto.caffe_pb2 import NetParameter, PlayerParameter, SolverParameter
from ..types import Array
from . import lr_policy
from .nets import TRAIN_NETS
from .rules import RULES
from .update import Update

# What a player may have otherwise than the solver, beside what its update rule looks at.
_OWN = (
    "base_lr",
    "weight_decay",
    "regularization_type",
    "clip_gradients",
    "clip_weights",
    "iter_size",
)


class Player:
    """One net of those that a solver trains in turns, and how it is moved.

    Parameters
    ----------
    seat : what the solver says of it
    param : the solver's options, with the player's own
    net : its Net
    frozen : names of the layers that it does not train
    """

    def __init__(
        self, seat: PlayerParameter, param: SolverParameter, net: Net, frozen: Collection[str] = ()
    ) -> None:
        self.name, self.steps = seat.name, seat.steps
        self.param, self.net = param, net
        self.rule = RULES[param.type](param)
        self.trained = [entry for entry in net.learnable if entry.layer not in frozen]
        self.update = Update(param, self.rule, self.trained, net.dtype)

    def move(self, iteration: int, step: int, current_step: int) -> float:
        """One update, that of a step of an iteration, from the diffs of its net; returns the rate.

        `current_step` is that of the solver, whose schedule is that of all players.
        """
        rate, _ = lr_policy.rate_at(self.param, iteration, current_step)
        self.update.apply(rate, iteration * self.steps + step + 1)
        return rate


def check(param: SolverParameter) -> None:
    """Raise a SolverError for players that cannot take turns."""
    own = {*_OWN, *(RULES[param.type].reads if param.type in RULES else ())}
    names = [seat.name for seat in param.player]
    for seat in param.player:
        if not re.fullmatch(r"\w[\w.-]*", seat.name):
            raise SolverError(f'player: expected a name of letters and digits, not "{seat.name}"')
        at = f'player "{seat.name}"'
        if names.count(seat.name) > 1:
            raise SolverError(f"{at}: the name is given twice")
        if seat.steps < 1:
            raise SolverError(f"{at}: steps must be at least 1, not {seat.steps}")
        for field, _ in seat.solver.ListFields():
            if field.name not in own:
                raise SolverError(
                    f"{at}: {field.name} is of the solver as a whole: write it outside of player; "
                    f"a player may have its own {', '.join(sorted(own))}"
                )
    rest = [f'"{seat.name}"' for seat in param.player if not seat.layer]
    if len(rest) > 1:
        raise SolverError(
            f"players {' and '.join(rest)} name no layer, and one alone can have all that no other "
            'trains: give the others layer: "..."'
        )


def param_of(param: SolverParameter, seat: PlayerParameter) -> SolverParameter:
    """The solver's options as they are for a player: its net, its state, its own rate, ..."""
    if not param.player:
        return param
    merged = SolverParameter()
    merged.CopyFrom(param)
    merged.ClearField("player")
    merged.MergeFrom(seat.solver)
    merged.train_state.stage.append(seat.name)
    if seat.net:
        for name in TRAIN_NETS:
            merged.ClearField(name)
        merged.train_net = seat.net
    return merged


def frozen_in(net: NetParameter, param: SolverParameter, seat: PlayerParameter) -> set[str]:
    """The names of a net's layers that the player whose net it is does not train."""
    names = {layer.name for layer in net.layer}
    return {name for name in names if param.player and seat.name not in _trainers(name, param)}


def _trainers(layer: str, param: SolverParameter) -> list[str]:
    """The names of the players that train a layer."""
    named = [seat.name for seat in param.player if _matches(layer, seat.layer)]
    return named or [seat.name for seat in param.player if not seat.layer]


def _matches(layer: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(layer, pattern) for pattern in patterns)


def check_nets(param: SolverParameter, players: Sequence[Player]) -> None:
    """Raise a SolverError for nets that do not fit together: each that is learned has one player
    who moves it, by a loss, and is in the net of the last one."""
    main = players[-1]
    entries = {(entry.layer, entry.index) for entry in main.net.learnable}
    for player in players:
        if not player.trained:
            raise SolverError(
                f"{_at(player)}: its net has no weights that it trains; look at the names of its "
                f"layers, and at stages: those for it alone have include {{ stage: "
                f'"{player.name}" }}'
            )
        if not any(player.net.blob_loss_weights.values()):
            raise SolverError(f"{_at(player)}: its net has no loss to train by")
    for player in players:
        _check_sharing(param, player)
        for entry in player.net.learnable:
            _check_entry(param, player, entry)
            if (entry.layer, entry.index) not in entries:
                raise SolverError(
                    f'{_at(player)}: its layer "{entry.layer}" has weights that the net of the '
                    f'last player, "{main.name}", lacks; files of weights are written from that '
                    "one, so put the player last whose net has all layers"
                )


def _at(player: Player) -> str:
    """How messages name a player."""
    file = f"{player.net.file}: " if player.net.file else ""
    return f'{file}player "{player.name}"'


def _check_entry(param: SolverParameter, player: Player, entry: Learnable) -> None:
    """A learnable blob that moves has one trainer."""
    trainers = _trainers(entry.layer, param)
    if len(trainers) > 1:
        names = " and ".join(f'"{name}"' for name in trainers)
        raise SolverError(
            f'{_at(player)}: its layer "{entry.layer}" is trained by {names}; expected one'
        )
    if not trainers and _rate_written(player.net, entry):
        raise SolverError(
            f'{_at(player)}: its layer "{entry.layer}" is trained by nobody: name it as layer of a '
            "player; one without layer: has all that no other names"
        )


def _rate_written(net: Net, entry: Learnable) -> float:
    """The lr_mult that the net's file gives a learnable blob."""
    specs = net.layer_dict[entry.layer].param.param
    return specs[entry.index].lr_mult if entry.index < len(specs) else 1.0


def _check_sharing(param: SolverParameter, player: Player) -> None:
    """Layers that share weights by name have the same trainer."""
    owners = {id(entry.blob): entry for entry in player.net.learnable}
    for layer in player.net.layers:
        for blob in layer.blobs:
            owner = owners[id(player.net.owner_of(blob))]
            ours, theirs = _trainers(layer.name, param), _trainers(owner.layer, param)
            if ours != theirs:
                raise SolverError(
                    f'{_at(player)}: its layer "{layer.name}", of {_who(ours)}, shares weights by '
                    f'the name in param with "{owner.layer}", of {_who(theirs)}; give each its own'
                )


def _who(trainers: Sequence[str]) -> str:
    return " and ".join(f'player "{name}"' for name in trainers) or "no player"


def histories(net: Net, players: Sequence[Player]) -> list[dict[str, Array]]:
    """For each learnable blob of a net, what the rule of the player who trains it keeps."""
    found = {
        (entry.layer, entry.index): history
        for player in players
        for entry, history in zip(player.trained, player.update.history, strict=True)
    }
    names = players[-1].rule.history_names
    return [
        found.get((entry.layer, entry.index))
        or {name: np.zeros(entry.blob.shape, net.dtype) for name in names}
        for entry in net.learnable
    ]
