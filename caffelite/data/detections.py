"""What `caffelite detect` reads and writes: windows of pictures, tables of scores, boxes found."""

import csv
import os
import warnings
from xml.etree import ElementTree

from .. import reading
from ..errors import DataError, missing_extra

COORDINATES = ("ymin", "xmin", "ymax", "xmax")


def read_windows(path):
    """{picture: [(ymin, xmin, ymax, xmax)]} of a CSV file whose first line names the columns."""
    found = {}
    try:
        text = reading.lines(path, "CSV", errors="strict", newline="")
        lines = csv.reader(text, skipinitialspace=True)
        columns = [word.strip() for word in next(lines, [])]
        missing = {"filename", *COORDINATES}.difference(columns)
        if missing:
            raise DataError(
                f"{path}:1: lacks the columns {', '.join(sorted(missing))}; expected a first "
                "line such as filename,xmin,ymin,xmax,ymax"
            )
        for words in filter(None, lines):
            name, window = _window(f"{path}:{lines.line_num}", columns, words)
            found.setdefault(name, []).append(window)
    except csv.Error as problem:
        raise DataError(f"{path}: cannot be read as CSV: {problem}") from None
    if not found:
        raise DataError(f"{path}: names no windows")
    return found


def _window(at, columns, words):
    if len(words) != len(columns):
        raise DataError(f"{at}: has {len(words)} columns, expected {len(columns)}")
    values = dict(zip(columns, words, strict=True))
    window = [reading.number(values[name], at, name, limit=1 << 31) for name in COORDINATES]
    return values["filename"], tuple(int(x) if x.is_integer() else x for x in window)


class CsvTable:
    """A line for each window: filename, ymin, xmin, ymax, xmax, class0, class1, ..."""

    def __init__(self, path):
        self.path, self.begun = path, False

    def __enter__(self):
        self.file = open(self.path, "w", encoding="utf-8", newline="")
        return self

    def add(self, found):
        """Add what `Detector.detect_windows` gives."""
        lines = csv.writer(self.file, lineterminator="\n")
        if not self.begun:
            classes = [f"class{i}" for i in range(len(found[0]["prediction"]))]
            lines.writerow(["filename", *COORDINATES, *classes])
            self.begun = True
        for one in found:
            scores = [f"{score:.6g}" for score in one["prediction"]]
            lines.writerow([one["filename"], *one["window"], *scores])

    def __exit__(self, *problem):
        self.file.close()


class PandasTable:
    """The table "df" of pandas in an HDF5 file: prediction, ymin, xmin, ymax, xmax by filename."""

    def __init__(self, path):
        self.path, self.names, self.rows = path, [], []
        try:
            import pandas
            import tables  # noqa: F401  (pandas needs it for HDF5)
        except ImportError as problem:
            raise missing_extra(problem.name, "pandas") from None
        self.pandas = pandas

    def __enter__(self):
        return self

    def add(self, found):
        """Add what `Detector.detect_windows` gives."""
        self.names += [one["filename"] for one in found]
        self.rows += [
            {"prediction": one["prediction"], **dict(zip(COORDINATES, one["window"], strict=True))}
            for one in found
        ]

    def __exit__(self, kind, problem, trace):
        if kind is None:
            index = self.pandas.Index(self.names, name="filename")
            with warnings.catch_warnings():  # that arrays in a column are pickled
                warnings.simplefilter("ignore")
                self.pandas.DataFrame(self.rows, index).to_hdf(self.path, key="df", mode="w")


class BoxTable:
    """CSV with a line for each box: filename, label, name, score, xmin, ymin, xmax, ymax."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.file = open(self.path, "w", encoding="utf-8", errors="surrogateescape", newline="")
        self.lines = csv.writer(self.file, lineterminator="\n")
        self.lines.writerow(["filename", "label", "name", "score", "xmin", "ymin", "xmax", "ymax"])
        return self

    def __call__(self, path, size, boxes):
        """Add the boxes of a picture, each with label, name, score and sides."""
        for one in boxes:
            sides = (f"{x:.1f}" for x in one.sides)
            self.lines.writerow([path, one.label, one.name, f"{one.score:.6g}", *sides])

    def __exit__(self, *problem):
        self.file.close()


def voc_xml(path, size, boxes):
    """The bytes of an XML file as PASCAL VOC has them, with the score of each box.

    Parameters
    ----------
    path : of the picture
    size : its height and width
    boxes : of it, each with name, score and sides, which are rounded to pixels
    """
    root = ElementTree.Element("annotation")
    folder, name = os.path.split(path)
    _add(root, "folder", os.path.basename(folder))
    _add(root, "filename", name)
    sides = ElementTree.SubElement(root, "size")
    for what, value in zip(("height", "width", "depth"), (*size, 3), strict=True):
        _add(sides, what, value)
    for one in boxes:
        made = ElementTree.SubElement(root, "object")
        _add(made, "name", one.name)
        _add(made, "difficult", 0)
        _add(made, "score", f"{one.score:.6g}")
        sides = ElementTree.SubElement(made, "bndbox")
        for side, place in zip(("xmin", "ymin", "xmax", "ymax"), one.sides, strict=True):
            _add(sides, side, round(place))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _add(parent, tag, value):
    text = "".join(c if c.isprintable() else "?" for c in str(value))  # XML has no others
    ElementTree.SubElement(parent, tag).text = text


TABLES = {".csv": CsvTable, ".h5": PandasTable}
