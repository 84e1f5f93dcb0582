"""A source of the rows of a text file: columns of numbers, as spreadsheets export them."""

import csv

import numpy as np

from ..errors import DataError, did_you_mean
from ..reading import lines, number
from .order import Order
from .source import RowSource

MOST = 3e38  # in size, of a value


class CsvSource(RowSource):
    """The rows of a CSV file; a sample is [features, labels], both rows of float32.

    All values are read at once, and each must be a number. Lines that are empty are passed over.

    Parameters
    ----------
    path
        a text file with a row a line, and the same number of values in each
    features, labels
        the columns they are made of, by name, or by number from 0 on where there is no header; no
        features stand for all columns that hold no labels
    header
        whether the first line names the columns
    delimiter
        what stands between values, one character
    shuffle
        take another order in each pass, by the attribute `seed` and the number of the pass
    """

    def __init__(self, path, features=(), labels=(), header=True, delimiter=",", shuffle=False):
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise DataError(f"{path}: delimiter: {delimiter!r}, expected one character, as , or ;")
        self.path, self.order = path, Order(shuffle)
        rows = self._rows(delimiter)
        line, first = next(rows, (1, []))
        if not first:
            raise DataError(f"{path}: is empty; expected a row of numbers a line")
        self.columns = [name.strip() for name in first] if header else _numbers(first)
        self._check_header(line, header)
        labels = [self._column(name) for name in labels]
        features = [self._column(name) for name in features] or [
            i for i in range(len(self.columns)) if i not in labels
        ]
        both = sorted(set(features) & set(labels))
        if both:
            raise DataError(f'{path}: column "{self.columns[both[0]]}" is a feature and a label')
        if not features:
            raise DataError(f"{path}: all its columns hold labels, none is left for features")
        kept = features + labels
        table = [] if header else [self._values(line, first, kept)]
        self.lines = [] if header else [line]
        for line, row in rows:
            table.append(self._values(line, row, kept))
            self.lines.append(line)
        if not table:
            raise DataError(f"{path}: has a header, and no rows")
        values = np.array(table, np.float32)
        self.arrays = [values[:, : len(features)], values[:, len(features) :]]

    def _rows(self, delimiter):
        """Yield (number of a line, its values as text)."""
        text = lines(self.path, "CSV", newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        while True:
            begins = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as problem:
                raise DataError(f"{self.path}:{begins}: {problem}") from None
            if row is None:
                return
            if any(value.strip() for value in row):
                yield begins, row

    def _check_header(self, line, header):
        at = f"{self.path}:{line}"
        double = [name for name in self.columns if self.columns.count(name) > 1]
        if double:
            raise DataError(f'{at}: two columns are called "{double[0]}"')
        if header and all(map(_is_number, self.columns)):
            raise DataError(
                f"{at}: expected the names of columns, but all are numbers; write header: false if "
                "the file has none"
            )

    def _column(self, name):
        if name not in self.columns:
            has = ", ".join(self.columns[:20]) + (", ..." if len(self.columns) > 20 else "")
            hint = did_you_mean(name, self.columns)
            raise DataError(f'{self.path}: has no column "{name}"{hint}; it has {has}')
        return self.columns.index(name)

    def _values(self, line, row, kept):
        at = f"{self.path}:{line}"
        if len(row) != len(self.columns):
            raise DataError(f"{at}: has {len(row)} values, expected {len(self.columns)}")
        words = [row[i] for i in kept]
        try:
            values = list(map(float, words))
            if all(abs(value) < MOST for value in values) and "_" not in "".join(words):
                return values
        except ValueError:
            pass
        return [self._value(at, self.columns[i], row[i]) for i in kept]  # which says what is wrong

    def _value(self, at, column, word):
        if not word.strip():
            raise DataError(f'{at}: column "{column}" has no value; fill it in, or drop the row')
        return number(word, at, f'column "{column}"', MOST)

    def __len__(self):
        return len(self.lines)

    def drawn_for(self):
        return len(self) if self.order.shuffle else None

    def rows(self, numbers):
        """The rows with these numbers, of features and of labels."""
        places = [self._row(n) for n in numbers]
        return [array[places] for array in self.arrays]

    def name(self, number):
        return f"{self.path}:{self.lines[self._row(number)]}"

    def _row(self, number):
        return self.order.index(number, len(self), self.seed)


def _numbers(row):
    return [str(i) for i in range(len(row))]


def _is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True
