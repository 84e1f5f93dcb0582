"""Let a net make up text, symbol by symbol, or pictures; or say one text after another.

    caffelite generate --model models/char-lstm/deploy.prototxt --weights W.caffemodel \\
        --vocabulary data/text_vocabulary.txt
    caffelite generate ... --start "The " --temperature 0.7 --length 500
    caffelite generate ... --start "The " --beam 5 --length 100
    caffelite generate --model models/seq2seq/deploy.prototxt --weights W.caffemodel \\
        --vocabulary data/number_digits_vocabulary.txt \\
        --given-vocabulary data/number_words_vocabulary.txt --given "three hundred and five"
    caffelite generate --model models/dcgan/deploy.prototxt --weights W.caffemodel --out digits.png
    caffelite generate --model models/cgan/deploy.prototxt --weights W.caffemodel --class 7 --out 7s

The net is one for use; by its inputs it is known what it makes.

Text comes of a net whose inputs are the number of a symbol and cont, steps x streams, and which
ends in a Softmax over symbols. --vocabulary names what `caffelite dataset text` made where the net
was trained. The text begins with --start, and ends after --length more symbols, characters or
words, or where the net ends it. Each symbol is drawn as likely as the net holds it for; at a
--temperature below 1 likely symbols come more often, at 0 only the likeliest. With --beam, chance
has no part in it: of all texts, the N likeliest so far are gone on with, and the likeliest is told.
Each symbol costs one step of the net, which carries on what it knows of those before. --json tells
how likely the net held it for, too, as bits for each symbol.

A net that has inputs for a text of several steps, too, its symbols and cont, reads that first:
--given TEXT, which may be repeated, of the symbols of --given-vocabulary. Of each, it says another
text, a line: the likeliest symbol comes next, or --beam texts are gone on with.

Pictures come of a net whose inputs are noise, and the number of a class where it is told which to
make. --out FILE.png is a sheet of --count pictures, --out FOLDER one file for each. Classes come in
turn, or are all that of --class. With --between, the sheet is a strip that goes over from one
picture to another; with --nearest, right of each picture are the N pictures of the training set
that are nearest to it. What values stand for is known from the data layer of train_val.prototxt
beside the net, or of --train_val.

The same --seed makes the same.
"""

import os

from ..glog import start_logging
from ..json_text import json_text
from ._flags import UsageError, at_least, from_0
from ._nets import add_device_flags, add_missing_flag, add_python_flag, add_state_flags
from ._painting import write_picture

READS_NETS = True
OF_TEXT = "vocabulary", "start", "temperature", "beam", "length"
OF_GIVEN = "given", "given-vocabulary"
OF_PICTURES = "out", "count", "class", "between", "nearest", "train_val"


def add_arguments(parser):
    flag = parser.add_argument
    flag("--model", required=True, metavar="FILE", help="the net's prototxt, that for use")
    flag("--weights", required=True, metavar="FILE", help="its weights")
    add_missing_flag(parser)
    flag("--seed", type=at_least(0), metavar="N", help="other noise, another text [0]")
    flag("--json", action="store_true", help="print JSON")
    text = parser.add_argument_group("text")
    flag = text.add_argument
    flag("--vocabulary", metavar="FILE", help="its symbols, a line each")
    flag("--start", metavar="TEXT", help="what the text begins with")
    words = "how much chance there is, from 0 on [1]"
    flag("--temperature", type=from_0, metavar="X", help=words)
    flag("--beam", type=at_least(1), metavar="N", help="how many texts are looked at together")
    flag("--length", type=at_least(0), metavar="N", help="symbols at most [200]")
    flag("--given", action="append", metavar="TEXT", help="what is read first; repeat it for more")
    flag("--given-vocabulary", metavar="FILE", help="the symbols of that, a line each")
    pictures = parser.add_argument_group("pictures")
    flag = pictures.add_argument
    flag("--out", metavar="FILE.png|FOLDER", help="a sheet, or where to put one file for each")
    flag("--count", type=at_least(1), metavar="N", help="how many pictures [64]")
    flag("--class", type=at_least(0), metavar="K", help="of which class [of all, in turn]")
    flag("--between", type=at_least(2), metavar="N", help="N pictures, from one to another")
    flag("--nearest", type=at_least(1), metavar="N", help="beside each, N of the training set")
    flag("--train_val", metavar="FILE", help="the net that it was trained in")
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)


def run(args):
    start_logging(quiet=True)
    from ..errors import NetError
    from ..net.generator import outputs_of_pictures
    from ..predict.sequence_net import reads_first
    from ..predict.text_net import cont_of
    from ._nets import open_net

    if args.beam and (args.temperature is not None or args.seed is not None):
        raise UsageError("--beam leaves nothing to chance: leave out --temperature and --seed")
    net = open_net(args.model, "TEST", args, weights=args.weights)
    if reads_first(net):
        others = *OF_PICTURES, "start", "temperature", "seed"
        what, make = "texts for those that are given", _answers
    elif cont_of(net) is not None:
        what, others, make = "text", (*OF_PICTURES, *OF_GIVEN), _text
    elif net.inputs and outputs_of_pictures(net):
        what, others, make = "pictures", (*OF_TEXT, *OF_GIVEN), _pictures
    else:
        raise NetError(
            f"{args.model}: expected a net for use: a language model with inputs for symbols and "
            "cont, and recurrent layers that carry on their state, as models/char-lstm/"
            "deploy.prototxt, or a generator from noise to pictures, N x 1 or 3 x height x width, "
            "as models/dcgan/deploy.prototxt"
        )
    for flag in others:
        if getattr(args, flag.replace("-", "_")) is not None:
            raise UsageError(f"--{flag}: {args.model} makes {what}, which have no such option")
    return make(net, args)


def _text(net, args):
    from ..data.text import Vocabulary, cut
    from ..predict.text_net import TextNet

    if not args.vocabulary:
        raise UsageError("a net that generates text needs --vocabulary FILE, its symbols")
    vocabulary = Vocabulary.read(args.vocabulary)
    model = TextNet(net, vocabulary, args.vocabulary)
    start, length = cut(args.start or "", vocabulary.words), args.length
    length = 200 if length is None else length
    if args.beam:
        made = model.beam(start, length, args.beam)
    else:
        temperature = 1 if args.temperature is None else args.temperature
        made = list(model.sample(start, length, temperature, args.seed or 0))
    told = _told(made, vocabulary, start)
    print(json_text(told) if args.json else told["text"])
    return 0


def _told(made, vocabulary, start=()):
    """What there is to say of symbols that were generated behind `start`."""
    from ..data.text import join

    text = join([*start, *(one.symbol for one in made)], vocabulary.words)
    bits = -sum(one.log2 for one in made) / len(made) if made else None
    return {"text": text, "symbols": len(made), "bits_per_symbol": bits}


def _answers(net, args):
    from ..data.text import Vocabulary
    from ..predict.sequence_net import SequenceNet
    from ._nets import stages

    if not (args.vocabulary and args.given_vocabulary and args.given):
        raise UsageError(
            "a net that reads a text first needs --given TEXT, --given-vocabulary FILE, its "
            "symbols, and --vocabulary FILE, those of what it says"
        )
    names = args.given_vocabulary, args.vocabulary
    model = SequenceNet(
        args.model,
        args.weights,
        *map(Vocabulary.read, names),
        names,
        level=args.level,
        stages=stages(args),
        allow_missing=args.allow_missing,
    )
    length = 200 if args.length is None else args.length
    model.text.refuse_beam(args.beam or 1)
    found = []
    for given in args.given:
        made = model.answer(given, length, args.beam or 1)
        found.append({"given": given, **_told(made, model.text.vocabulary)})
    print(json_text(found) if args.json else "\n".join(one["text"] for one in found))
    return 0


def _pictures(net, args):
    from ..predict.generator import Generator

    if not args.out:
        raise UsageError("a net that generates pictures needs --out FILE.png, or --out FOLDER")
    if args.between and args.count is not None:
        raise UsageError("--between says how many pictures there are: leave out --count")
    generator, label, seed = Generator(net, args.train_val), getattr(args, "class"), args.seed or 0
    if args.between:
        noise = generator.between(args.between, seed, label)
    else:
        noise = generator.noise(64 if args.count is None else args.count, seed, label)
    pictures, labels = generator.pictures(noise), generator.labels(noise)
    told = {"pictures": len(pictures), "classes": labels}
    if args.nearest:
        pictures, told["nearest"] = _with_nearest(generator, pictures, args.nearest)
    if args.out.lower().endswith(".png"):
        told["files"] = [_sheet(args.out, pictures, len(pictures) if args.between else None)]
    else:
        told["files"] = _singles(args.out, pictures, labels)
    if args.json:
        print(json_text(told))
    else:
        print(f"{len(pictures)} pictures: {args.out}")
    return 0


def _with_nearest(generator, pictures, count):
    """Each picture with the nearest of the training set right of it, and what these are."""
    import numpy as np

    from ..predict.generator import TruePictures, nearest

    with TruePictures(generator.train_val) as true:
        if count > len(true):
            raise UsageError(f"--nearest {count}: the training set has {len(true)} pictures")
        others = true.pixels(range(len(true)))
        numbers, distances = nearest(pictures, others, count)
        names = [[true.source.name(k) for k in row] for row in numbers.tolist()]
    white = np.full((*pictures.shape[:3], 2), 255, np.uint8)
    parts = [pictures, white, *(others[column] for column in numbers.T)]
    rows = zip(names, distances.tolist(), strict=True)
    found = [
        [{"name": name, "distance": far} for name, far in zip(*row, strict=True)] for row in rows
    ]
    return np.concatenate(parts, axis=3), found


def _sheet(path, pictures, columns):
    from ..pictures.arrays import tiles

    sheet = tiles(pictures[:, ::-1].transpose(0, 2, 3, 1), columns=columns)
    write_picture(path, sheet.transpose(2, 0, 1)[::-1])
    return path


def _singles(folder, pictures, labels):
    os.makedirs(folder, exist_ok=True)
    paths = []
    for k, picture in enumerate(pictures):
        label = f"_class_{labels[k]}" if labels else ""
        paths.append(os.path.join(folder, f"{k:05}{label}.png"))
        write_picture(paths[-1], picture)
    return paths
