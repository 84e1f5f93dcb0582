import numpy as np

from ...data.arrays import ArraySource
from ...errors import DataError
from ..base import register
from ._source import SourceLayer


@register("MemoryData")
class MemoryData(SourceLayer):
    """Arrays of the user's, batch by batch, over and over; see `set_arrays`.

    Top
        0: data, batch_size x channels x height x width
        1: label, batch_size; from the first forward pass on batch_size x 1 x 1 x 1
    Options (memory_data_param)
        batch_size, channels, height, width: the shape of top 0
    """

    options_field = "memory_data_param"
    ignored = {"transform_param": "transform arrays before you set them"}
    tops = 2

    def setup(self, bottom_shapes):
        self.source = None
        if min(self.infer_shapes([])[0]) == 0:
            raise self.error("batch_size, channels, height and width must all be above 0")

    def infer_shapes(self, bottom_shapes):
        options = self.options
        batch = options.batch_size
        return [(batch, options.channels, options.height, options.width), (batch,)]

    def set_arrays(self, data, labels):
        """Serve these from their start on; they are not copied, so later changes to them count.

        Parameters
        ----------
        data
            n x channels x height x width, n a multiple of batch_size
        labels
            n, or n x 1 x 1 x 1
        """
        data, labels = np.asarray(data), np.asarray(labels)
        batch, *sample = self.infer_shapes([])[0]
        count = len(data) if data.ndim else 0
        if data.shape != (count, *sample) or count == 0 or count % batch:
            raise self.error(
                f"data have the shape {data.shape}, expected n x {' x '.join(map(str, sample))}, "
                f"with n a multiple of batch_size, {batch}",
                DataError,
            )
        if labels.shape not in ((count,), (count, 1, 1, 1)):
            raise self.error(
                f"labels have the shape {labels.shape}, expected ({count},) or ({count}, 1, 1, 1)",
                DataError,
            )
        self.source, self.position = ArraySource(data, labels), 0

    def forward(self, bottom, top):
        if self.source is None:
            raise self.error(
                "has no data; give it some: net.set_input_arrays(data, labels)", DataError
            )
        batch = self.options.batch_size
        top[1].reshape(batch, 1, 1, 1)
        self.take_place()
        for blob, rows in zip(top, self.source.read_rows(batch), strict=True):
            blob.data[...] = rows.reshape(blob.shape)
        self.position += self.samples_at_once
