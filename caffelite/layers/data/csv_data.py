from ...data.csv_table import CsvSource
from ..base import register
from ._source import SourceLayer


@register("CsvData")
class CsvData(SourceLayer):
    """Rows of numbers of a CSV file, over and over.

    Top
        0: data, batch_size x features
        1: label (optional), batch_size; batch_size x labels, where there are several
    Options (csv_data_param)
        source: text file with a row a line
        batch_size: rows in a batch
        feature: a column of the data, by its name; repeated; none for all but the labels
        label: a column of the labels; repeated
        header: whether the first line names the columns; else they are called 0, 1, ... [true]
        delimiter: what stands between values [,]
        shuffle: another order in each pass [false]
    """

    options_field = "csv_data_param"
    files = ("source",)
    refused = {"transform_param": "does nothing here: rows are no pictures"}
    tops = (1, 2)

    def setup(self, bottom_shapes):
        options = self.options
        if not options.source:
            raise self.error("source is missing")
        if options.batch_size == 0:
            raise self.error("batch_size: expected at least 1; it is the rows in a batch")
        if self.num_tops > 1 and not options.label:
            raise self.error("label is missing: it names the column of the labels, top[1]")
        with self.naming():
            self.source = CsvSource(
                options.source,
                list(options.feature),
                list(options.label),
                options.header,
                options.delimiter,
                options.shuffle,
            )

    def told_shapes(self):
        options = self.options
        rows, labels = max(options.batch_size, 1), len(options.label)
        shapes = [(rows, len(options.feature)), (rows, labels) if labels > 1 else (rows,)]
        return shapes[: self.num_tops]

    def infer_shapes(self, bottom_shapes):
        features, labels = (array.shape[1] for array in self.source.arrays)
        rows = self.options.batch_size
        return [(rows, features), (rows, labels) if labels > 1 else (rows,)][: self.num_tops]

    def forward(self, bottom, top):
        self.take_place()
        with self.naming():
            arrays = self.source.read_rows(self.options.batch_size)
        for blob, array in zip(top, arrays, strict=False):
            blob.data[...] = array.reshape(blob.shape)
        self.position += self.samples_at_once
