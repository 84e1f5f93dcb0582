from ...data.hdf5 import Hdf5Source
from ..base import register
from ._source import SourceLayer


@register("HDF5Data")
class HDF5Data(SourceLayer):
    """Rows of the HDF5 files in a list, over and over; needs the extra [hdf5].

    Top
        0...: the dataset of the top's name: batch_size x its axes after the first
    Options (hdf5_data_param)
        source: text file with the names of the HDF5 files, from where the program runs
        batch_size: rows in a batch
        shuffle: another order of files, and of rows in each file, in every pass [false]
    """

    options_field = "hdf5_data_param"
    files = ("source",)
    refused = {"transform_param": "does nothing here: transform the data before storing them"}
    tops = (1, None)

    def setup(self, bottom_shapes):
        if not self.options.source:
            raise self.error("source is missing")
        if self.options.batch_size == 0:
            raise self.error("batch_size: expected at least 1; it is the rows in a batch")
        options = self.options
        with self.naming():
            self.source = Hdf5Source(
                options.source, list(self.param.top), self.dtype, options.shuffle
            )

    def told_shapes(self):
        return [(max(self.options.batch_size, 1), ...)] * self.num_tops

    def infer_shapes(self, bottom_shapes):
        return [(self.options.batch_size, *shape) for shape in self.source.row_shapes]

    def forward(self, bottom, top):
        self.take_place()
        with self.naming():
            arrays = self.source.read_rows(self.options.batch_size)
        for blob, array in zip(top, arrays, strict=True):
            blob.data[...] = array
        self.position += self.samples_at_once
