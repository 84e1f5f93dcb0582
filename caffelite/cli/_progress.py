"""What a terminal shows instead of log lines: a bar, with results above it."""

import os
import sys

import numpy as np


def make_bar(total, done=0, what=""):
    """A tqdm bar on stderr that counts iterations."""
    from tqdm import tqdm

    known = os.get_terminal_size(sys.stderr.fileno()).columns > 0
    size = {"dynamic_ncols": True} if known else {"ncols": 100, "nrows": 24}
    return tqdm(
        total=total,
        initial=done,
        desc=what,
        **size,
        file=sys.stderr,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} "
        "[{elapsed}, {remaining} left{postfix}]",
    )


class TrainingBar:
    """A solver's listener: bar with loss, rate and speed; tests and snapshots above it."""

    def __init__(self, solver):
        self.bar = make_bar(solver.param.max_iter, solver.iter, solver.net.name or "training")

    def __call__(self, event):
        show = getattr(self, "_" + event["event"], None)
        if show:
            show(event)

    def write(self, line):
        """Print a line above the bar."""
        self.bar.write(line, file=sys.stderr)

    def close(self):
        self.bar.close()

    def _step(self, event):
        rate = self.bar.format_dict["rate"] or 0
        losses = event.get("losses") or {"loss": event["loss"]}
        words = ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items())
        words += f", lr {event['lr']:.4g}, "
        words += f"{rate * event['images']:.0f} images/s"
        if "waiting" in event:
            words += f", {event['waiting']:.0%} waiting, imbalance {event['imbalance']:.0%}"
        self.bar.set_postfix_str(words, refresh=False)
        self.bar.update(event["iteration"] - self.bar.n)

    def _test(self, event):
        facts = ", ".join(f"{name} = {value}" for name, value in numbers(event["outputs"]))
        which = f" (#{event['net']})" if event["net"] else ""
        self.write(f"iteration {event['iteration']}: test{which} {facts}")

    def _snapshot(self, event):
        self.write(f"iteration {event['iteration']}: snapshot {event['state']}")

    def _picture(self, event):
        self.write(f"iteration {event['iteration']}: {event['name']} {event['file']}")

    def _best(self, event):
        self.write(f"iteration {event['iteration']}: best so far, kept as {event['model']}")

    def _stopped(self, event):
        self.write(f"iteration {event['iteration']}: stopped early")


def numbers(outputs):
    """(name, "0.9812") for each element of each output; of several, with its index: "prob[3]"."""
    for name, values in outputs.items():
        flat = np.ravel(values)
        for index, value in enumerate(flat):
            yield name if flat.size == 1 else f"{name}[{index}]", f"{value:g}"
