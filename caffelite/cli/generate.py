"""Let a net make up text: a language model, symbol by symbol.

  caffelite generate --model models/char-lstm/deploy.prototxt --weights W.caffemodel \\
      --vocabulary data/text_vocabulary.txt
  caffelite generate ... --start "The " --temperature 0.7 --length 500
  caffelite generate ... --start "The " --beam 5 --length 100

The net is one for use: its inputs are the number of a symbol and cont, steps x streams, and it
ends in a Softmax over symbols. --vocabulary names what `caffelite dataset text` made where the net
was trained. The text begins with --start, and ends after --length more symbols, characters or
words, or where the net ends it. Each symbol is drawn as likely as the net holds it for; at a
--temperature below 1 likely symbols come more often, at 0 only the likeliest. With --beam, chance
has no part in it: of all texts, the N likeliest so far are gone on with, and the likeliest is told.
Each symbol costs one step of the net, which carries on what it knows of those before.

The same --seed gives the same text. --json tells how likely the net held it for, too, as bits for
each symbol.
"""

import argparse

from ..glog import start_logging
from ..json_text import json_text
from ..reading import integer, number
from ._flags import UsageError
from ._nets import add_device_flags, add_missing_flag, add_python_flag, add_state_flags

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("--model", required=True, metavar="FILE", help="the net's prototxt, that for use")
    flag("--weights", required=True, metavar="FILE", help="its weights")
    add_missing_flag(parser)
    flag("--vocabulary", metavar="FILE", help="its symbols, a line each")
    flag("--start", default="", metavar="TEXT", help="what the text begins with")
    words = "how much chance there is, from 0 on [1]"
    flag("--temperature", type=_temperature, metavar="X", help=words)
    flag("--beam", type=_from(1), metavar="N", help="how many texts are looked at together")
    flag("--length", type=_from(0), default=200, metavar="N", help="symbols at most [200]")
    flag("--seed", type=_from(0), metavar="N", help="another text [0]")
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)


def _from(least):
    return lambda text: integer(text, "", least=least, error=argparse.ArgumentTypeError)


def _temperature(text):
    found = number(text, "", error=argparse.ArgumentTypeError)
    if found < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, not {text!r}")
    return found


def run(args):
    start_logging(quiet=True)
    from ..data.text import Vocabulary, cut, join
    from ..errors import NetError
    from ..predict.text_net import TextNet, cont_of
    from ._nets import open_net

    if args.beam and (args.temperature is not None or args.seed is not None):
        raise UsageError("--beam leaves nothing to chance: leave out --temperature and --seed")
    net = open_net(args.model, "TEST", args, weights=args.weights)
    if cont_of(net) is None:
        raise NetError(
            f"{args.model}: is no language model for use: expected inputs for symbols and cont, "
            "and recurrent layers that carry on their state, as models/char-lstm/deploy.prototxt"
        )
    if not args.vocabulary:
        raise UsageError("a net that generates text needs --vocabulary FILE, its symbols")
    vocabulary = Vocabulary.read(args.vocabulary)
    model, start = TextNet(net, vocabulary, args.vocabulary), cut(args.start, vocabulary.words)
    if args.beam:
        made = model.beam(start, args.length, args.beam)
    else:
        temperature = 1 if args.temperature is None else args.temperature
        made = list(model.sample(start, args.length, temperature, args.seed or 0))
    text = join([*start, *(one.symbol for one in made)], vocabulary.words)
    if args.json:
        bits = -sum(one.log2 for one in made) / len(made) if made else None
        print(json_text({"text": text, "symbols": len(made), "bits_per_symbol": bits}))
    else:
        print(text)
    return 0
