"""Clips: how they are stored, if not in an LMDB: as rows of HDF5 files, or frame by frame.

A clip is a sample of a source, (frames, label): uint8, frames x height x width.
"""

import itertools
import os
from functools import partial

import numpy as np

from ..atomic import write_atomically, written_together
from . import hdf5
from .image import encode

MOST_ROWS = 1000  # of an HDF5 file, of which a layer holds one at a time in memory


def cont(length):
    """What recurrent layers have to be told of each frame: 0 where a clip begins, else 1."""
    return np.minimum(np.arange(length), 1)


class ClipRows:
    """Each part as HDF5 files, and a list of them, which an HDF5Data layer reads.

    A row is a clip, with the datasets "data", frames x height x width, "cont", as long as there are
    frames, and "label", a number.
    """

    def source(self, database):
        """What a data layer names as its source, instead of the LMDB of this name."""
        return f"{database.removesuffix('_lmdb')}.txt"

    def write(self, database, source, progress=iter):
        """Store the samples in a pass of a source; what is there already is replaced.

        `progress` wraps the iteration.
        """
        stem, names = database.removesuffix("_lmdb"), []
        os.makedirs(os.path.dirname(stem) or ".", exist_ok=True)
        numbers = iter(progress(range(len(source))))
        while some := list(itertools.islice(numbers, MOST_ROWS)):
            rows = [source.sample(number) for number in some]
            names.append(f"{stem}_{len(names):03}.h5")
            hdf5.write_file(names[-1], partial(_fill, rows=rows))
        write_atomically(self.source(database), "".join(f"{name}\n" for name in names).encode())


def _fill(file, rows):
    frames, labels = zip(*rows, strict=True)
    file["data"] = np.stack(frames)
    file["cont"] = np.tile(cont(len(frames[0])), (len(frames), 1)).astype(np.float32)
    file["label"] = np.float32(labels)


class ClipFrames:
    """Each part as a folder of PNGs, and a list of them, which an ImageData layer reads.

    A line of the list is `NAME LABEL`, a frame; the frames of a clip follow each other.
    """

    def source(self, database):
        """What a data layer names as its source, instead of the LMDB of this name."""
        return f"{database.removesuffix('_lmdb')}_frames.txt"

    def write(self, database, source, progress=iter):
        """Store the samples in a pass of a source; nothing is replaced.

        `progress` wraps the iteration.
        """
        names = self.source(database)
        folder = names.removesuffix(".txt")
        with written_together(folder, names) as passing:
            lines = []
            for number in progress(range(len(source))):
                frames, label = source.sample(number)
                clip = f"{number:06}"
                os.makedirs(os.path.join(passing[folder], clip))
                for t, frame in enumerate(frames):
                    name = os.path.join(clip, f"{t:03}.png")
                    with open(os.path.join(passing[folder], name), "wb") as file:
                        file.write(encode(frame[None], "png"))
                    lines.append(f"{os.path.basename(folder)}/{name} {label}\n")
            with open(passing[names], "w", encoding="utf-8") as file:
                file.writelines(lines)
