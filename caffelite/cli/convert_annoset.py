"""Make a database of the pictures in a list, with the boxes on them.

    caffelite convert_annoset --anno_type=detection --label_map_file=labelmap.prototxt \\
        --encoded --encode_type=jpg VOCdevkit/ trainval.txt trainval_lmdb

LIST has a line PICTURE ANNOTATION for each, or PICTURE LABEL for --anno_type=classification; ROOT
stands before both names. Annotations are XML as PASCAL VOC has it, JSON of an image and its
annotation, or text, a line LABEL XMIN YMIN XMAX YMAX a box. The database is what the program of
SSD's Caffe makes, AnnotatedDatums, but that boxes which are none (without an area, outside, not
numbers) are left out, and what reaches beyond its picture is cut off; all is told. Pictures that
cannot be read are left out with a warning. Unknown names are an error. "caffelite dataset" needs no
list.
"""

import os
import sys

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, int32

KINDS = ("xml", "json", "txt")


def add_arguments(parser):
    flag = parser.add_argument
    flag("root", metavar="ROOT/", help="folder of the pictures and annotations")
    flag("list", metavar="LIST", help="text file that lists them")
    flag("db", metavar="DB", help="the database to make")
    kinds = ("classification", "detection")
    flag("--anno_type", default="classification", choices=kinds, help="[classification]")
    flag("--label_type", default="xml", choices=KINDS, help="what annotations are [xml]")
    flag("--label_map_file", default="", metavar="FILE", help="names and labels of the classes")
    flag(
        "--check_label",
        action="store_true",
        help="refuse names and labels that come twice: done in any case",
    )
    words = "resize so that the shorter side has at least N pixels"
    flag("--min_dim", type=int32, default=0, metavar="N", help=words)
    flag("--max_dim", type=int32, default=0, metavar="N", help="... and the longer one at most N")
    flag("--resize_width", type=int32, default=0, metavar="N", help="resize to this width")
    flag("--resize_height", type=int32, default=0, metavar="N", help="... and height [as they are]")
    flag("--backend", default="lmdb", choices=("lmdb", "leveldb"), help="[lmdb]")
    flag("--shuffle", action="store_true", help="store them in random order")
    flag("--check_size", action="store_true", help="all must have the size of the first")
    flag("--encoded", action="store_true", help="store files, not pixels")
    flag("--encode_type", default="", metavar="TYPE", help="png, jpg, ...: files of this type")
    flag("--gray", action="store_true", help="store 1 channel, not blue, green and red")
    flag(
        "--redo",
        action="store_true",
        help="replace a database that is there, as create_annoset.py does",
    )
    flag("--json", action="store_true", help="print JSON")


def run(args):
    from tqdm import tqdm

    from ..data.annotations import convert
    from ..data.datum_encoder import DatumEncoder
    from ..data.image import format_of

    if (args.resize_width > 0) != (args.resize_height > 0):
        raise UsageError("give both --resize_width and --resize_height, or neither")
    if args.anno_type == "detection" and not args.label_map_file:
        raise UsageError("--anno_type=detection needs --label_map_file FILE")
    if args.encode_type:
        format_of(args.encode_type)
    start_logging(on_terminal(), lambda line: tqdm.write(line, file=sys.stderr))
    report = convert.convert(
        args.root,
        args.list,
        args.db,
        DatumEncoder(
            color=not args.gray,
            size=(args.resize_height, args.resize_width) if args.resize_height > 0 else None,
            dims=(max(0, args.min_dim), max(0, args.max_dim)),
            encoded=args.encoded or bool(args.encode_type),
            kind=args.encode_type,
        ),
        label_map=args.label_map_file if args.anno_type == "detection" else None,
        label_type=args.label_type,
        leveldb=args.backend == "leveldb",
        shuffle=args.shuffle,
        check_size=args.check_size,
        redo=args.redo,
        progress=lambda lines: tqdm(lines, args.db, leave=False, disable=not on_terminal()),
    )
    if args.json:
        print(json_text({"database": args.db, **report}))
        return 0
    boxes = f", {report['boxes']} boxes" if args.anno_type == "detection" else ""
    print(f"{os.fspath(args.db)}: {report['pictures']} pictures{boxes}")
    for kind, count in report["faults"].items():
        print(f"left out or mended: {kind}: {count}")
    return 0
