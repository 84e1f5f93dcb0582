"""Detector: a net that says what is in windows of pictures, as R-CNN does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import CaffeliteError
from ..net import Net
from ..net.weights import check_weights
from ..proto.caffe_pb2 import TEST
from ..types import Array, ArrayLike, Path
from . import old_options
from .classifier import transformer_for
from .io import load_image, resize_image

Window = Sequence[float]


class Detector(Net):
    """A net in TEST phase with how windows are cut out for it.

    Parameters
    ----------
    model_file, pretrained_file : the net's prototxt, and its weights
    mean, input_scale, raw_scale, channel_swap : see `caffelite.io.Transformer`
    context_pad : pixels of the picture around a window, counted in the net's input
    allow_missing : whether layers that the weights lack may keep what their fillers gave them
    words : the same from `mean` on without their names, in this order, or that of 2014
    gpu, mean_file : of 2014: where to run, and a mean in a file, before there was a raw_scale
    """

    def __init__(
        self,
        model_file: Path,
        pretrained_file: Path,
        *words: Any,
        mean: ArrayLike | Path | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
        allow_missing: bool | None = None,
        gpu: bool | None = None,
        mean_file: Path | None = None,
    ) -> None:
        named = dict(mean=mean, input_scale=input_scale, raw_scale=raw_scale)
        named.update(channel_swap=channel_swap, context_pad=context_pad)
        named.update(allow_missing=allow_missing, gpu=gpu, mean_file=mean_file)
        options = old_options.sort("Detector", words, ["context_pad", "allow_missing"], named)
        context_pad = options.pop("context_pad", None)
        check_weights(pretrained_file)
        super().__init__(model_file, TEST)
        self.copy_from(pretrained_file, "warn" if options.pop("allow_missing", 0) else "refuse")
        self.transformer = transformer_for(self, **options)
        self.configure_crop(context_pad)

    def detect_windows(
        self, images_windows: Iterable[tuple[Path, Sequence[Window]]]
    ) -> list[dict[str, Any]]:
        """Scores of windows: a list of {"window", "prediction", "filename"}.

        `images_windows` are pairs of a picture's file name and its windows, each
        (ymin, xmin, ymax, xmax).
        """
        places: list[tuple[Path, Window]] = []
        crops: list[Array] = []
        for filename, windows in images_windows:
            crops += self._crops(filename, load_image(filename), windows)
            places += [(filename, window) for window in windows]
        if not crops:
            return []
        scores = self._scores_of_crops(crops)
        return [
            {"window": window, "prediction": prediction, "filename": filename}
            for (filename, window), prediction in zip(places, scores, strict=True)
        ]

    def scores(self, filename: Path, image: Array, windows: Iterable[Window]) -> Array:
        """windows x classes: the scores of windows of a picture as `load_image` gives it."""
        return self._scores_of_crops(self._crops(filename, image, windows))

    def _crops(self, filename: Path, image: Array, windows: Iterable[Window]) -> list[Array]:
        try:
            return [self.crop(image, window) for window in windows]
        except CaffeliteError as problem:
            raise CaffeliteError(f"{filename}: {problem}") from None

    def _scores_of_crops(self, crops: Sequence[Array]) -> Array:
        in_ = self.inputs[0]
        batch = np.array([self.transformer.preprocess(in_, crop) for crop in crops])
        return self.forward_all(**{in_: batch})[self.outputs[0]].reshape(len(crops), -1)

    def detect_selective_search(self, image_fnames: Sequence[Path]) -> list[dict[str, Any]]:
        """Scores of the windows that selective search proposes, as `detect_windows`."""
        windows = proposals(image_fnames)
        return self.detect_windows((name, windows[str(name)]) for name in image_fnames)

    def configure_crop(self, context_pad: int | None) -> None:
        """Set the size of a crop, `crop_dims`, and with `context_pad` what fills it, `crop_mean`.

        That is the mean as pictures have it: height x width x channels, before it is scaled.
        """
        in_ = self.inputs[0]
        channels, height, width = self.blobs[in_].shape[1:]
        self.crop_dims = np.array([height, width, channels])
        self.context_pad = context_pad
        if not context_pad:
            return
        if 2 * context_pad >= min(height, width):
            raise CaffeliteError(
                f"context_pad {context_pad} leaves nothing of a crop of {height} x {width}"
            )
        self.crop_mean = np.zeros(self.crop_dims, np.float32)
        if in_ in self.transformer.mean:
            mean = np.array(self.transformer.mean[in_])
            if in_ in self.transformer.channel_swap:
                mean = mean[np.argsort(self.transformer.channel_swap[in_])]
            self.crop_mean += mean.transpose(1, 2, 0) / self.transformer.scales(in_)[0]

    def crop(self, im: Array, window: Window) -> Array:
        """A window of a picture; with `context_pad`, with what is around it, in the net's size."""
        if not self.context_pad:
            y0, x0, y1, x1 = (int(place) for place in window)
            if not (0 <= y0 < min(y1, im.shape[0]) and 0 <= x0 < min(x1, im.shape[1])):
                raise CaffeliteError(
                    f"the window ({y0}, {x0}, {y1}, {x1}), of ymin, xmin, ymax, xmax, covers "
                    f"no pixels of the picture, or begins outside it: {im.shape[0]} x {im.shape[1]}"
                )
            return im[y0:y1, x0:x1]
        spans = [
            _with_context(window[axis], window[axis + 2], im.shape[axis], size, self.context_pad)
            for axis, size in enumerate(self.crop_dims[:2])
        ]
        (ys, rows), (xs, columns) = spans
        crop = self.crop_mean.copy()
        size = (rows.stop - rows.start, columns.stop - columns.start)
        crop[rows, columns] = resize_image(im[ys, xs], size)
        return crop


def _with_context(
    first: float, last: float, length: int, size: int, pad: int
) -> tuple[slice, slice]:
    """Along one axis: the span to cut out of a picture, and the one it fills in a crop.

    The window grows about its centre by size / (size - 2 pad); what leaves the picture is cut off.
    """
    half = (last - first + 1) / 2
    grown = half * size / (size - 2 * pad)
    start, end = np.round(first + half - grown), np.round(first + half + grown)
    scale = size / (end - start + 1)
    before = int(np.round(max(0, -start) * scale))
    start, end = np.clip((start, end), 0, length)
    if end <= start:
        raise CaffeliteError(f"the window from {first} to {last} leaves the picture, 0 to {length}")
    filled = min(int(np.round((end - start + 1) * scale)), size - before)
    return slice(int(start), int(end)), slice(before, before + filled)


def proposals(names: Iterable[Path]) -> dict[str, Any]:
    """{picture file: the windows that selective search proposes}.

    They come from the module selective_search_ijcv_with_python, which runs Matlab.
    """
    try:
        import selective_search_ijcv_with_python as selective_search
    except ImportError:
        raise CaffeliteError(
            "the module selective_search_ijcv_with_python is not installed "
            "(https://github.com/sergeyk/selective_search_ijcv_with_python); with windows from "
            "elsewhere, use detect_windows, or give caffelite detect a .csv file"
        ) from None
    files = [str(name) for name in names if str(name)]
    return dict(zip(files, selective_search.get_windows(files), strict=True))
