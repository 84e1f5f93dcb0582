"""What a log tells of a training, as rows: one an iteration, or a pass over a test net."""

import math
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Row:
    """What was told of one iteration of training, or of one pass over a test net.

    `rate_before` is the learning rate last told before the outputs, which is what Caffe's tables
    have; `rate`, of training, is that of the iteration itself. `loss` is the total, which training
    shows smoothed. `seconds` are those of the first output, `begun` those of the line before: of
    the loss, or that a test begins. `stage` is the snapshot_prefix of the solver, where it is told.
    """

    iteration: int
    seconds: float
    rate_before: float
    rate: float = math.nan
    loss: float = math.nan
    net: int = 0
    begun: float = math.nan
    stage: str = ""
    outputs: list = field(default_factory=list)  # (name, value), several of a name for an array

    def named_outputs(self):
        """(name, value) of each output; "prob[3]" in an array, "loss#1" of the second test net."""
        totals, counts = Counter(name for name, _ in self.outputs), Counter()
        for name, value in self.outputs:
            label = f"{name}[{counts[name]}]" if totals[name] > 1 else name
            counts[name] += 1
            yield f"{label}#{self.net}" if self.net else label, value


@dataclass
class Run:
    """The rows of training and of testing, in the order of the file.

    `starts` are the first records of a run log, one each time the run was begun or gone on with.
    """

    train: list = field(default_factory=list)
    test: list = field(default_factory=list)
    starts: list = field(default_factory=list)
