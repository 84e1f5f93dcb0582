"""What the page asks for: a method for each request, which takes strings and returns plain data."""

import threading

from ..errors import CaffeliteError
from ..lint import lint_text
from ..proto import caffe_pb2
from .complete import complete
from .graph import describe
from .runs import Runs

MOST_TEXT = 8 * 2**20  # bytes of a prototxt that the editor takes


class PageData:
    """A net's file and, if given, the weights and the run to show with it.

    Parameters
    ----------
    file : NetFile, or None where only runs are shown
    state : NetState, what include and exclude rules are asked about
    sample : net.missing_data.Sample, what to take for samples whose data is not there, or None
    weights : Weights, or None
    runs : Runs, or None
    """

    def __init__(self, file, state, sample=None, weights=None, runs=None):
        self.file, self.state, self.sample = file, state, sample
        self.stored_weights, self.has_runs = weights, runs is not None
        self.run_table = runs or Runs()
        self._lock = threading.Lock()  # one analysis at a time: they only slow each other down

    def net(self):
        """The text to edit and what else there is."""
        if self.file is None:
            return {"file": None, "runs": True}
        text, version = self.file.read()
        return {
            "file": self.file.path,
            "text": text.replace("\r\n", "\n"),
            "version": version,
            "phase": caffe_pb2.Phase.Name(self.state.phase),
            "weights": self.stored_weights and self.stored_weights.path,
            "runs": self.has_runs,
        }

    def graph(self, text, phase):
        """The graph of the edited text, in the phase "TRAIN" or "TEST"."""
        if phase not in caffe_pb2.Phase.keys():
            raise CaffeliteError(f"phase: expected TRAIN or TEST, not {phase!r}")
        state = caffe_pb2.NetState()
        state.CopyFrom(self.state)
        state.phase = caffe_pb2.Phase.Value(phase)
        with self._lock:
            return describe(text, state, self.sample)

    def lint(self, text):
        """What lint finds in the edited text."""
        with self._lock:
            return {"findings": [finding._asdict() for finding in lint_text(text)]}

    def complete(self, text):
        """What may come next in the edited text, which ends where the cursor is."""
        return complete(text)

    def save(self, text, version):
        """Write the edited text to the file that `version` names a state of."""
        return {"version": self.file.save(text, version)}

    def weights(self, layer):
        """Histograms and filters of a layer's blobs."""
        blobs = self.stored_weights and self.stored_weights.describe(layer)
        return {"blobs": blobs}

    # Of the runs, what view.runs.Runs tells

    def runs(self):
        return self.run_table.listing()

    def curves(self, *words):
        return self.run_table.curves(*words)

    def compare(self, runs):
        return self.run_table.compare(runs)

    def spread(self, run, blob, kind):
        return self.run_table.spread(run, blob, kind)

    def pictures(self, run):
        return self.run_table.pictures(run)
