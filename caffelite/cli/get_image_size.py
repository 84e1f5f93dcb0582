"""List names, heights and widths of pictures: a name_size_file of SSD's layers.

    caffelite get_image_size VOCdevkit/ test.txt test_name_size.txt

LIST has a line PICTURE ANNOTATION for each; ROOT/ stands before the pictures' names. OUT gets a
line NAME HEIGHT WIDTH for each, NAME being that of the file without folders and its ending, or,
with --name_id_file, the number that a line NAME ID there has for it.
"""

import os

from ..json_text import json_text


def add_arguments(parser):
    flag = parser.add_argument
    flag("root", metavar="ROOT/", help="folder of the pictures")
    flag("list", metavar="LIST", help="text file that lists them")
    flag("out", metavar="OUT", help="the text file to write")
    flag("--name_id_file", default="", metavar="FILE", help="numbers of the names")
    flag("--json", action="store_true", help="print JSON")


def run(args):
    from ..atomic import write_atomically
    from ..data.annotations.convert import read_pairs
    from ..data.image import decoded_shape
    from ..errors import DataError
    from ..reading import integer

    ids = {}
    if args.name_id_file:
        for number, (name, ident) in enumerate(read_pairs(args.name_id_file, "NAME ID"), 1):
            if name in ids:
                raise DataError(f'{args.name_id_file}:{number}: the name "{name}" comes twice')
            ids[name] = integer(ident, f"{args.name_id_file}:{number}", "ID")
    lines = []
    for name, _ in read_pairs(args.list, "PICTURE ANNOTATION"):
        path = os.path.join(args.root, name)
        try:
            _, height, width = decoded_shape(path)
        except DataError as problem:
            raise DataError(f"{path}: {problem}") from None
        stem = os.path.splitext(os.path.basename(name))[0]
        if ids and stem not in ids:
            raise DataError(f'{args.name_id_file}: has no ID for "{stem}"')
        lines.append(f"{ids.get(stem, stem)} {height} {width}\n")
    write_atomically(args.out, "".join(lines).encode("utf-8", "surrogateescape"))
    facts = {"file": args.out, "pictures": len(lines)}
    print(json_text(facts) if args.json else f"{args.out}: {len(lines)} pictures")
    return 0
