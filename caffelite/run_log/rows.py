"""What a log tells of a training, as rows: one an iteration, or a pass over a test net."""

import math
from collections import Counter
from dataclasses import dataclass, field

from ..pictures.curves import LOSS, RATE, SPEED, STEPS


@dataclass
class Row:
    """What was told of one iteration of training, or of one pass over a test net.

    `rate_before` is the learning rate last told before the outputs, which is what Caffe's tables
    have; `rate`, of training, is that of the iteration itself. `loss` is the total, which training
    shows smoothed. `seconds` are those of the first output, `begun` those of the line before: of
    the loss, or that a test begins. `stage` is the snapshot_prefix of the solver, where it is told,
    and `attempt` how often this stage was begun anew before. `speed` are iterations a second, and
    `images` those of one iteration.
    """

    iteration: int
    seconds: float
    rate_before: float
    rate: float = math.nan
    loss: float = math.nan
    net: int = 0
    begun: float = math.nan
    stage: str = ""
    attempt: int = 0
    speed: float = math.nan
    images: float = math.nan
    outputs: list = field(default_factory=list)  # (name, value), several of a name for an array

    def named_outputs(self):
        """(name, value) of each output; "prob[3]" in an array, "loss#1" of the second test net."""
        totals, counts = Counter(name for name, _ in self.outputs), Counter()
        for name, value in self.outputs:
            label = f"{name}[{counts[name]}]" if totals[name] > 1 else name
            counts[name] += 1
            yield f"{label}#{self.net}" if self.net else label, value

    def figures(self):
        """{curve: value}. The loss is the total, of which an output of that name is a part."""
        found = dict(self.named_outputs())
        found[f"{LOSS}#{self.net}" if self.net else LOSS] = self.loss
        found[RATE] = self.rate
        told = math.isfinite(self.images)
        found[SPEED if told else STEPS] = self.speed * (self.images if told else 1)
        return found


@dataclass
class Run:
    """The rows of training and of testing, in the order of the file.

    `starts` are the first records of a run log, one each time the run was begun or gone on with;
    of Caffe's lines, they have the solver and the nets alone. `end` is "done" or "stopped" once
    that is told.
    """

    train: list = field(default_factory=list)
    test: list = field(default_factory=list)
    starts: list = field(default_factory=list)
    end: str = ""
    _before: dict = field(default_factory=dict)  # {stage: (attempt, iteration)} of the last row

    def attempt_at(self, stage, iteration):
        """Which attempt a row of the stage belongs to: each begins at iteration 0."""
        attempt, before = self._before.get(stage, (0, 0))
        attempt += iteration == 0 and before > 0
        self._before[stage] = attempt, iteration
        return attempt
