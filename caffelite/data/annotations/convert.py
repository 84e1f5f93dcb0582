"""What SSD's convert_annoset does: a list of pictures and annotations becomes a database."""

import contextlib
import os
import shutil
import tempfile

import numpy as np

from ...atomic import passing_start
from ...errors import DataError
from ...proto.caffe_pb2 import AnnotatedDatum
from ...reading import integer, lines
from ..annotated import annotated
from ..image import decoded_shape
from ..label_map import read_label_map
from ..leveldb import new_leveldb
from ..lmdb import LmdbWriter
from .annotation import Faults, boxes_of
from .per_picture import read


def read_pairs(path, wanted):
    """[(first word, second word)] of the lines of a text; a line splits at its last space."""
    pairs = []
    for number, line in enumerate(lines(path, f"lines {wanted}"), 1):
        if not line.strip():
            continue
        words = line.strip().rsplit(maxsplit=1)
        if len(words) < 2:
            raise DataError(f'{path}:{number}: expected {wanted}, not "{line.strip()}"')
        pairs.append(tuple(words))
    if not pairs:
        raise DataError(f"{path}: is empty; expected lines {wanted}")
    return pairs


def convert(
    root,
    list_path,
    database,
    encoder,
    label_map=None,
    label_type="xml",
    leveldb=False,
    shuffle=False,
    check_size=False,
    redo=False,
    progress=iter,
):
    """Make the database; returns {"pictures": ..., "boxes": ..., "faults": {...}}.

    `encoder` is a DatumEncoder. Without a `label_map`, what stands behind each picture in the list
    is its label.
    """
    pairs = read_pairs(list_path, "PICTURE ANNOTATION" if label_map else "PICTURE LABEL")
    if shuffle:
        pairs = [pairs[i] for i in np.random.default_rng().permutation(len(pairs))]
    labels = {item.name: item.label for item in read_label_map(label_map)} if label_map else {}
    faults, sizes, pictures, boxes = Faults(), {}, 0, 0
    writer = new_leveldb if leveldb else LmdbWriter
    with _replacing(database, redo) as place, writer(place) as records:
        stored = encoder.encode_all(progress(pairs), lambda name: os.path.join(root, name), label=0)
        for number, (name, what, datum, pixels, problem) in enumerate(stored):
            path = os.path.join(root, name)
            if problem is not None:
                faults.add("picture that cannot be read", path, str(problem))
                continue
            datum.channels, datum.height, datum.width = pixels.shape
            if label_map:
                place, size = os.path.join(root, what), decoded_shape(path)[1:]
                record = _with_boxes(datum, size, place, label_type, labels, faults)
                boxes += sum(len(group.annotation) for group in record.annotation_group)
            else:
                datum.label = integer(what, f"{list_path}: {name}", "the label")
                record = AnnotatedDatum(datum=datum)
            if check_size and not datum.encoded:
                sizes.setdefault(len(datum.data), path)
                if len(sizes) > 1:
                    first, second = list(sizes.items())[:2]
                    raise DataError(
                        f"{second[1]}: has {second[0]} values, but {first[1]} {first[0]}; "
                        "--resize_width and --resize_height make all alike"
                    )
            records.put(b"%08d_" % number + os.fsencode(name), record.SerializeToString())
            pictures += 1
        if not pictures:
            raise DataError(f"{list_path}: none of its pictures can be read from {root}")
    return {"pictures": pictures, "boxes": boxes, "faults": dict(faults.counts)}


def _with_boxes(datum, size, path, kind, labels, faults):
    """The AnnotatedDatum of a picture; a file that is not there has no boxes, as in SSD."""
    datum.label = -1
    if not os.path.exists(path):
        faults.add("annotation that is not there", path, "is not there: the picture has no boxes")
        return AnnotatedDatum(datum=datum, type=AnnotatedDatum.BBOX)
    annotation = read(path, kind)
    if kind == "txt":  # labels are numbers there already
        labels = {item.name: int(item.name) for item in annotation.objects}
    unknown = next((item.name for item in annotation.objects if item.name not in labels), None)
    if unknown is not None:
        raise DataError(f'{path}: "{unknown}" is not in the label map')
    if annotation.size and tuple(annotation.size) != tuple(size):
        faults.add(
            "says another size",
            path,
            f"says {annotation.size[1]} x {annotation.size[0]}, but the picture has {size[1]} x "
            f"{size[0]} pixels; boxes are divided by what it says",
        )
    return annotated(datum, boxes_of(annotation, size, labels, faults)[0])


@contextlib.contextmanager
def _replacing(database, redo):
    """Where to make a database, which with `redo` takes the place of one that is there, at last."""
    database = os.fspath(database)
    if not (redo and os.path.lexists(database)):
        yield database
        return
    if not any(os.path.isfile(os.path.join(database, name)) for name in ("data.mdb", "CURRENT")):
        raise DataError(f"{database}: is no database, which --redo would replace; remove it first")
    folder, name = os.path.split(os.path.abspath(database))
    passing = tempfile.mkdtemp(prefix=passing_start(name), dir=folder)
    try:
        yield os.path.join(passing, name)
        os.rename(database, os.path.join(passing, "old"))
        os.rename(os.path.join(passing, name), database)
    finally:
        shutil.rmtree(passing, ignore_errors=True)
