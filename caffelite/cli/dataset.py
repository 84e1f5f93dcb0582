"""Make LMDBs of your own pictures, or of a data set to start with; check databases.

  caffelite dataset pictures --out data --resize 64 --test 0.2     a folder for each class
  caffelite dataset list.txt --root pictures --out data            lines NAME LABEL
  caffelite dataset VOCdevkit --out data                           pictures with boxes
  caffelite dataset photos --label-pictures masks --out data       pictures and label pictures
  caffelite dataset pairs.txt --label-pictures --out data          lines NAME LABEL_NAME
  caffelite dataset VOC2012 --label-pictures --out data            VOC's ImageSets/Segmentation
  caffelite dataset mnist-5k --out data                            one of the data sets below
  caffelite dataset mnist-5k --pad 2 --out data/padded             32 x 32 pixels, not 28 x 28
  caffelite dataset pictures --shards 8 --tar --out data           train-{0000..0007}.tar
  caffelite dataset text --out data                                streams of characters
  caffelite dataset text a.txt b.txt --words --out data            ... of words, of your own texts
  caffelite dataset text a.txt --lines --padded 20 --out data      a record for each line
  caffelite dataset moving-digits --hdf5 --out data                clips, as rows of HDF5 files
  caffelite dataset check data/train_lmdb                          is it whole?

Pictures become OUT/train_lmdb and, with --test, OUT/test_lmdb, shuffled, and with the same share of
each class in both. OUT/mean.binaryproto is the mean picture of OUT/train_lmdb; OUT/statistics.json
has counts, the means of its channels (blue, green, red) and principal components of its colors;
OUT/labels.txt has the classes' names in the order of their labels. All are made, or none.

Pictures with boxes are those of PASCAL VOC (a folder with VOC2007 and the like, or with XML files
and pictures), of COCO (a JSON file), and of YOLO (data.yaml, obj.data, or a folder with images and
labels). They become OUT/train_lmdb and OUT/test_lmdb with AnnotatedDatums for SSD's AnnotatedData
layers, pictures as the files that they are; OUT/labelmap.prototxt, or what --labels names, says
which label is which class; OUT/statistics.json counts classes, sizes and proportions of boxes, and
what is wrong with them; OUT/PART_name_size.txt has the pictures' names and sizes. Boxes without an
area, outside of their picture or not made of numbers are left out, and told of; boxes that reach
beyond it are cut off there. Pictures that cannot be read or have another size than is said of them,
and boxes of unknown classes, are an error, if --skip-bad does not leave them out. Corners are
divided by the sides as they are, as in SSD; regions of a crowd, of COCO, become difficult boxes.

Pictures with label pictures (a palette PNG, or a gray one; 255 is void) become pairs of databases,
OUT/PART_lmdb and OUT/PART_labels_lmdb, records of which belong together: data_param { source:
"data/train_lmdb" label_source: "data/train_labels_lmdb" } of a Data layer reads them. They are
those of two folders, by the same names but for their endings, of a list, or of VOC's layout, whose
val is for testing. Pictures keep their sizes, for nets that take any size with batch_size: 1, or
for a crop_size, if --resize does not make them alike; --border then is void. Labels go to the
nearest pixel. What is told are sizes, the share of each class, and of void. A label picture that is
missing, has another size than its picture, three channels, more than 8 bits, or classes beyond
--classes, or the names in --labels, is an error, if --skip-bad does not leave out the pair.

--shards N makes N databases of each, OUT/train_lmdb-{0000..0007}, which a data layer reads as one
by this very name, and processes that train together share out; --tar makes OUT/train.tar, or tars
OUT/train-{0000..0007}.tar, of pictures (000123.jpg) and labels (000123.cls), as WebDataset reads
them, for data_param { backend: TAR }. Records go round the shards, and are read round the shards:
without shuffle, a net sees them in the order that it would see them in without shards.

`text` makes streams of symbols, characters or words, of files in UTF-8, each a text of its own, or,
without a FILE, of the topics that help() of this Python explains (English, about 0.5 MB). A net
that reads them says at each step which symbol comes next. OUT/text_train_lmdb and
OUT/text_test_lmdb hold a step of all streams in each record, 3 x streams x 1 numbers: the symbol
that the net sees, cont (0 where a text begins, else 1), and the symbol that comes next, -1 where a
stream has ended. With --hdf5, these are the datasets "data", "cont" and "label" of
OUT/text_train.h5, which an HDF5Data layer reads by its list, OUT/text_train.txt. With --words, all
are called OUT/words_... instead. A tenth of the
texts, whole ones, is for testing, or --test, and --seed draws others; or that is what --test-text
names. OUT/text_vocabulary.txt has the symbols, a line each, by their numbers: 0 is the end of a
text, 1 stands for all unknown ones. With --padded N, each text is a record of its own, in the order
of the files: 3 x N x 1 numbers, -1 being what comes after its end. So the sentences that belong to
pictures lie in the order of these.

Clips, such as those of moving-digits, are runs of frames: a record of their database is a clip,
whose channels are its frames. With --hdf5, a row of OUT/NAME_PART_000.h5, _001.h5, ... is a clip,
with the datasets "data" (frames x height x width), "cont" (a number for each frame: 0 where the
clip begins, else 1) and "label", which an HDF5Data layer reads by their list, OUT/NAME_PART.txt.
With --frames, each frame is a PNG in OUT/NAME_PART_frames, and OUT/NAME_PART_frames.txt is their
list, which an ImageData layer reads with root_folder: "OUT/" and clip_length, the frames of a clip.

`check` reads a database to its end, an LMDB, a LevelDB, a tar, or several, as the source of a data
layer names them: every page, every key, every Datum, every picture in one. It says what it found;
where something is wrong, it names the first faults and ends with exit code 1. Bytes of pixels that
are others than were stored are no fault it can see in an LMDB, which keeps no checksums.

A data set to start with becomes OUT/NAME_train_lmdb and OUT/NAME_test_lmdb, where NAME ends before
its first hyphen: mnist, digits; if nothing else is said. Databases that are there already and hold
the same are left as they are. There are:
"""

import argparse

from ..data import made
from ..glog import on_terminal
from ..json_text import json_text
from ..reading import integer
from . import _dataset_boxes, _dataset_check, _dataset_pictures, _dataset_pixels, _dataset_text
from ._flags import UsageError


def add_arguments(parser):
    parser.description = "\n".join([__doc__, *_told()])
    flag = parser.add_argument
    choices = ", ".join([*made.names(), "text", "or check"])
    flag("source", metavar="SOURCE", help=f"folder of class folders, list, {choices}")
    flag("files", metavar="FILE", nargs="*", help="the database to check, or texts")
    flag("--out", default="data", metavar="DIR", help="where to [data]")
    flag("--json", action="store_true", help="print JSON")
    words = "make N databases, or tars, of each: for many processes, or disks [one]"
    flag("--shards", type=_shards, default=0, metavar="N", help=words)
    words = "make tars of pictures and labels, as WebDataset has them, not LMDBs"
    flag("--tar", action="store_true", help=words)
    words = "text and clips: make HDF5 files and their lists, not LMDBs"
    flag("--hdf5", action="store_true", help=words)
    words = "clips: make a picture file of each frame, and their lists, not LMDBs"
    flag("--frames", action="store_true", help=words)
    for name, options in _options().items():
        flag(f"--{name}", metavar=next(iter(options.values())).metavar, help=_help(options))
    _dataset_pictures.add_arguments(parser.add_argument_group("your own pictures"))
    _dataset_boxes.add_arguments(parser.add_argument_group("pictures with boxes"))
    _dataset_pixels.add_arguments(parser.add_argument_group("pictures with label pictures"))
    _dataset_text.add_arguments(parser.add_argument_group("text"))


def _shards(text):
    from ..data.shard_writer import MOST_SHARDS

    return integer(text, "", least=1, most=MOST_SHARDS, error=argparse.ArgumentTypeError)


def _told():
    """What each maker says of itself."""
    names = made.names()
    room = max(map(len, names)) + 2
    for name in names:
        line, rest = made.docstring(name)
        yield from (f"  {name:<{room}}{line}", "", rest, "")


def _options():
    """{flag: {maker: Option}} of all makers."""
    found = {}
    for name in made.names():
        for flag, option in made.maker(name).OPTIONS.items():
            found.setdefault(flag, {})[name] = option
    return found


def _help(options):
    """What a flag is for, by the makers that take it: those that say the same together."""
    said = {}
    for name, option in options.items():
        default = "" if option.default is None else f" [{option.default}]"
        said.setdefault(f"{option.help}{default}", []).append(name)
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in said.items())


def _value(option, flag, word):
    """The value of a maker's Option, from the word of a command line or None."""
    if word is None:
        return option.default
    if option.kind is not int:
        return option.kind(word)
    limits = {"least": option.least, "most": option.most}
    return integer(word, f"--{flag}", **limits, error=UsageError)


def run(args):
    if args.files[args.source == "check" :] and args.source != _dataset_text.NAME:
        raise UsageError(f"expected one SOURCE, or check DATABASE; not also {args.files[-1]}")
    is_made = args.source in made.names()
    _refuse_flags_of_others(args, made.maker(args.source).OPTIONS if is_made else {})
    if args.form and (is_made or args.files):
        raise UsageError(f"--form is for pictures with boxes, not for {args.source}")
    is_text = args.source == _dataset_text.NAME
    _refuse_forms(args, is_text, is_made and getattr(made.maker(args.source), "CLIPS", False))
    if is_made or args.files or is_text or args.label_pictures is None:
        _dataset_pixels.refuse_flags(args)
    if is_text:
        _dataset_pictures.refuse_flags(args, but=("test", "seed"))
        return _dataset_text.run(args, args.files)
    _dataset_text.refuse_flags(args)
    if args.files:
        _dataset_pictures.refuse_flags(args)
        if args.shards or args.tar:
            raise UsageError("--shards and --tar are for data sets that are made, not for check")
        return _dataset_check.run(args, args.files[0])
    if args.label_pictures is not None and not is_made:
        return _dataset_pixels.run(args)
    if not is_made:
        from ..data import annotations

        is_annotated = args.form or annotations.form_of(args.source)
        return (_dataset_boxes if is_annotated else _dataset_pictures).run(args)
    _dataset_pictures.refuse_flags(args)
    return _make(args, made.maker(args.source))


def _refuse_flags_of_others(args, own):
    for flag, options in _options().items():
        if getattr(args, flag) is not None and flag not in own:
            raise UsageError(f"--{flag} belongs to {', '.join(options)}")


def _refuse_forms(args, is_text, has_clips):
    """Raise a UsageError for forms in which what is asked for cannot be stored, or for several."""
    for name, fits, of in (
        ("hdf5", is_text or has_clips, "text and clips"),
        ("frames", has_clips, "clips"),
    ):
        if getattr(args, name) and not fits:
            clips = ", ".join(n for n in made.names() if getattr(made.maker(n), "CLIPS", False))
            raise UsageError(f"--{name} is for {of} ({clips}), not for {args.source}")
    given = [f"--{name}" for name in ("hdf5", "frames", "tar", "shards") if getattr(args, name)]
    if given[1:] and given != ["--tar", "--shards"]:
        raise UsageError(f"{given[0]} and {given[1]}: each is a form of its own; give one of them")


def _layout(args):
    """How the records of each part are stored, as flags say."""
    from ..data.clips import ClipFrames, ClipRows

    if args.hdf5 or args.frames:
        return ClipRows() if args.hdf5 else ClipFrames()
    return _dataset_pictures.layout(args)


def _make(args, maker):
    from functools import partial

    from tqdm import tqdm

    from ..data.datum import write_database
    from ..data.shard_writer import ONE_DATABASE

    layout, options = _layout(args), {}
    for flag, option in maker.OPTIONS.items():
        word = getattr(args, flag)
        if word is None and option.required:
            raise UsageError(f"{args.source} needs --{flag} {option.metavar}, {option.help}")
        options[flag] = _value(option, flag, word)
    parts, counts, files = maker.parts(**options), {}, []
    for part, source in parts.items():
        path = made.place(args.source, args.out, f"{part}_lmdb")
        name = layout.source(path)
        counts[name] = len(source)
        bar = partial(
            tqdm,
            desc=name,
            total=counts[name],
            unit=f" {maker.WHAT}",
            leave=False,
            disable=not on_terminal(),
        )
        if layout == ONE_DATABASE:
            write_database(path, source, bar)
        else:
            layout.write(path, source, bar)
    for name, chunks in getattr(maker, "files", lambda parts: {})(parts).items():
        files.append(made.place(args.source, args.out, name))
        made.write_file(files[-1], b"".join(chunks))
    if args.json:
        print(json_text({"databases": counts, "files": files} if files else {"databases": counts}))
    else:
        print(
            "\n".join(
                [*(f"{path}: {count} {maker.WHAT}" for path, count in counts.items()), *files]
            )
        )
    return 0
