"""A source of clips, whose frames are picture files that a text file lists."""

import numpy as np

from ..errors import DataError
from .image_list import ImageListSource


class ClipListSource(ImageListSource):
    """The clips that a text file lists, frame by frame; a sample is (frames, label).

    Frames lie one behind the other, frames * channels x height x width, and are all as large as the
    first. The parameters are those of ImageListSource, but so many lines in a row are one clip, in
    the order of its frames, and have the same label; orders are those of clips.
    """

    def __init__(self, *args, clip_length, **options):
        self.clip_length = clip_length
        super().__init__(*args, **options)

    def read_entries(self, list_path):
        """[(names, label)] of clips."""
        frames, length = super().read_entries(list_path), self.clip_length
        if len(frames) % length:
            raise DataError(
                f"{list_path}: lists {len(frames)} frames, expected a multiple of {length}: so "
                "many lines in a row are a clip, by clip_length"
            )
        clips = []
        for first in range(0, len(frames), length):
            names, labels = zip(*frames[first : first + length], strict=True)
            for line, label in enumerate(labels, first + 1):
                if label != labels[0]:
                    raise DataError(
                        f"{list_path}:{line}: the label {label}, expected {labels[0]}, that of "
                        f"line {first + 1}, where its clip begins: clip_length says that {length} "
                        "lines in a row are one"
                    )
            clips.append((names, labels[0]))
        return clips

    def read_entry(self, entry):
        names, label = entry
        frames = [self._frame(name, label) for name in names]
        for name, frame in zip(names, frames, strict=True):
            if frame.shape != frames[0].shape:
                raise DataError(
                    f'frame "{self.path(name)}" has the shape {frame.shape}, expected '
                    f"{frames[0].shape}, that of the first frame of its clip; new_height and "
                    "new_width make all alike"
                )
        return np.concatenate(frames), label

    def _frame(self, name, label):
        try:
            return super().read_entry((name, label))[0]
        except DataError as problem:
            raise DataError(f'frame "{self.path(name)}": {problem}') from None

    def shape_of_entry(self, entry):
        names, label = entry
        channels, *sides = super().shape_of_entry((names[0], label))
        return (self.clip_length * channels, *sides)

    def name(self, number):
        clip = self._line(number)
        first = self.path(self.entries[clip][0][0])
        return f'{self.list_path}:{clip * self.clip_length + 1}: the clip from "{first}" on'
