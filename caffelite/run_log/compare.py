"""Compare runs: the best value of each curve, and the settings that differ."""

import itertools
from dataclasses import dataclass

import numpy as np
from google.protobuf import text_format

from ..errors import CaffeliteError
from ..pictures.curves import rises
from ..proto.caffe_pb2 import NetParameter, Phase, SolverParameter
from ..proto.diff import fields
from ..proto.upgrade import upgrade_net

MOST_TEXT = 1 << 20  # characters of a net that are looked at


@dataclass
class Best:
    """The last value of a curve and, where names tell what is better, the best one.

    `iteration` is that of the best. `lost` is the iteration of the first value that is no number.
    """

    last: float | None = None
    best: float | None = None
    iteration: int | None = None
    lost: int | None = None


def best_of(name, column):
    """The Best of a Column of the curve of that name."""
    values = np.array(column.value)
    there = np.flatnonzero(np.isfinite(values))
    lost = np.flatnonzero(~np.isfinite(values))
    found = Best(lost=column.iteration[lost[0]] if len(lost) else None)
    if not len(there):
        return found
    found.last = float(values[there[-1]])
    more = rises(name)
    if more is not None:
        values = values[there]
        at = int(np.argmax(values) if more else np.argmin(values))
        found.best, found.iteration = float(values[at]), column.iteration[there[at]]
    return found


def best_of_run(columns):
    """{(phase, name of the curve): Best} of Columns; of several attempts, that of the last."""
    found = {}
    for (_, _, phase, _, name), column in columns.of.items():
        if phase == "test" or rises(name) is not None:
            found[phase, name] = best_of(name, column)
    return found


def differences(starts):
    """{setting: its value in each run, or None} of those that differ between records "start".

    Of a layer that not all runs have, its type alone is told.
    """
    runs = [settings(start) if start else None for start in starts]
    told = [run for run in runs if run]
    found = {}
    for name in dict.fromkeys(name for run in told for name in run):
        layer, _, field = name.rpartition(": ")
        if layer and not all(f"{layer}: type" in run for run in told):
            if field != "type":
                continue
            label = layer
        else:
            label = name
        if len({run.get(name) for run in told}) > 1:
            found[label] = [run.get(name) if run else None for run in runs]
    return found


def settings(start):
    """{name: value} of a record "start", as text: options, seed, versions, fields of layers."""
    found = _of_message(start.get("solver"), SolverParameter)
    for name in ("seed", "dtype", "threads", "tuning"):
        if start.get(name) is not None:
            found[name] = str(start[name])
    words = start.get("command")
    for name, value in _set_on_command_line(words if isinstance(words, list) else []):
        if name not in found:
            found[f"--set {name}"] = value
    versions = start.get("versions")
    for name, value in versions.items() if isinstance(versions, dict) else ():
        found[f"version of {name}"] = str(value)
    nets = start.get("nets")
    for text in nets.values() if isinstance(nets, dict) else ():
        for name, value in _of_message(text, NetParameter).items():
            found.setdefault(name, value)
    return found


def _set_on_command_line(words):
    words = [word for word in words if isinstance(word, str)]
    given = [after for word, after in itertools.pairwise(words) if word == "--set"]
    given += [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
    for one in given:
        name, equals, value = one.partition("=")
        if equals:
            yield name, value


def _of_message(text, kind):
    """{path: value} of a prototxt; {} of what is none, as logs of other versions have it."""
    if not isinstance(text, str) or len(text) > MOST_TEXT:
        return {}
    message = kind()
    try:
        text_format.Parse(text, message, allow_unknown_field=True)
        if kind is NetParameter:
            message = upgrade_net(message)
    except (text_format.ParseError, CaffeliteError, RecursionError):
        return {}
    found = fields(message)
    for layer in getattr(message, "layer", ()):
        phases = [Phase.Name(rule.phase) for rule in layer.include if rule.HasField("phase")]
        label = " ".join([f'layer "{layer.name}"', *phases])
        found |= {f"{label}: {name}": value for name, value in fields(layer).items()}
    return found
