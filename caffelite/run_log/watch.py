"""Histograms and pictures of what is trained, for its run log."""

import base64

import numpy as np

from ..data.image import encode
from ..pictures.arrays import filters, picture_of, tiles
from .histogram import histogram

MOST_PICTURE = 1 << 18  # bytes of a .png; larger pictures lose pixels
MOST_SAMPLES = 16  # of a batch that are shown
BYTES = 1 << 23  # of histograms, or of pictures, that are logged before they come half as often
LEAST = 32  # records, however large, before that
SPREAD = 600  # bytes of a histogram in a record, about


class Watch:
    """Writes records of a solver's nets every so many iterations, before the update.

    That is at first: each time a run has twice as many iterations, they come half as often, so that
    the log of a long one does not fill the disk. Which iterations have records depends on the
    iteration alone, as a run that is resumed needs it.

    Parameters
    ----------
    solver : the Solver
    write : function that takes a record, as `RunLog.write`
    histograms : iterations between histograms of what is learned, and of its gradients; 0: none
    pictures : iterations between pictures of filters and of what the net is shown; 0: none
    """

    def __init__(self, solver, write, histograms=0, pictures=0):
        self.solver, self.write = solver, write
        self.histograms, self.pictures = histograms, pictures
        self.most_histograms = _most(2 * SPREAD * len(list(_learned(solver.net))))
        self.most_pictures = _most(2 * MOST_PICTURE)
        solver.add_callback(on_gradients_ready=self)

    def __call__(self):
        iteration = self.solver.iter
        if is_due(iteration, self.histograms, self.most_histograms):
            blobs = {name: _spread(blob) for name, blob in _learned(self.solver.net)}
            self.write({"event": "histograms", "iteration": iteration, "blobs": blobs})
        if is_due(iteration, self.pictures, self.most_pictures):
            for name, pixels in pictures_of(self.solver.net):
                record = {"event": "picture", "iteration": iteration, "name": name}
                self.write(record | {"png": _png(pixels)})


def is_due(iteration, every, most):
    """Whether there is a record at an iteration: every so many (0: never) for the first `most`
    records and as many again, then half as often for the next `most`, and so on."""
    if not every:
        return False
    halvings = max(0, (iteration // (every * most)).bit_length() - 1)
    return iteration % (every << halvings) == 0


def _most(size):
    """How many records of so many bytes are logged before they come half as often."""
    return max(LEAST, BYTES // max(size, 1))


def _learned(net):
    """("LAYER/BLOB", blob) of each learnable blob, shared ones once."""
    for node in net.nodes:
        for name, blob in zip(node.layer.blob_names, node.layer.blobs, strict=True):
            if net.owner_of(blob) is blob:
                yield f"{node.layer.name}/{name}", blob


def _spread(blob):
    told = {"data": histogram(blob.data)}
    return told | ({"diff": histogram(blob.diff)} if blob.diff_allocated else {})


def pictures_of(net):
    """(name, pixels): filters of the first convolution, and pictures of the batch at hand."""
    for node in net.nodes:
        weight = next(iter(node.layer.blobs), None)
        if node.layer.windows and weight is not None and len(weight.shape) == 4:
            yield f"{node.layer.name} filters", filters(weight.data)
            break
    for name, blob in net.blobs.items():
        if len(blob.shape) == 4 and blob.shape[1] in (1, 3) and min(blob.shape[2:]) > 1:
            yield name, tiles(np.stack([picture_of(x) for x in blob.data[:MOST_SAMPLES]]))
            break


def _png(pixels):
    """The .png of a picture, in base64; of every second pixel, or less, where it is too large."""
    while True:
        data = encode(pixels.transpose(2, 0, 1)[::-1], "png")
        if len(data) <= MOST_PICTURE:
            return base64.b64encode(data).decode()
        pixels = pixels[::2, ::2]
