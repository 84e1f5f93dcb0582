"""How well a net puts scenes of digits into words, and how well a sentence at random does.

    caffelite dataset digit-scenes --count 10000 --digits 3 --smallest 20 --out data/captions
    caffelite dataset text data/captions/scenes_train_captions.txt --lines --words --padded 22 \\
        --test-text data/captions/scenes_test_captions.txt --out data/captions
    caffelite train --solver solvers/captions.prototxt --weights YOLO_V1_DIGITS.caffemodel
    python tools/captions.py data/captions --weights snapshots/captions_iter_2000.caffemodel

Told are BLEU-1 to BLEU-4 of Papineni and others 2002, over all scenes for testing: with c words in
the sentences, r in those that are right, and p_n the share of sentences' n-grams that are in the
right one, each as often as there,

    BLEU-N = exp(min(0, 1 - r / c) + (log p_1 + ... + log p_N) / N);

and how many pairs of a digit and its place are right: F1 of all. Beside it stands what sentences
for training reach that are drawn at random, of those as long as the right one.
"""

import argparse
import math
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from caffelite.data.text import Vocabulary, cut  # noqa: E402

PAIR = re.compile(r"a (\d) at the (\w+ \w+)")
ORDERS = range(1, 5)
SHOWN, COLUMNS = 12, 4


def bleu(sentences, references):
    """[BLEU-1, ..., BLEU-4] of sentences, lists of words, against one reference each."""
    right, counts = Counter(), Counter()
    for words, reference in zip(sentences, references, strict=True):
        for n in ORDERS:
            found, known = (_grams(each, n) for each in (words, reference))
            right[n] += sum((found & known).values())
            counts[n] += sum(found.values())
    lengths = [sum(map(len, each)) for each in (references, sentences)]
    brief = min(0, 1 - lengths[0] / lengths[1]) if lengths[1] else -math.inf
    logs = [math.log(right[n] / counts[n]) if right[n] else -math.inf for n in ORDERS]
    return [math.exp(brief + sum(logs[:n]) / n) for n in ORDERS]


def _grams(words, n):
    return Counter(tuple(words[k : k + n]) for k in range(len(words) - n + 1))


def f1(sentences, references):
    """2 right / (said + there are), of the pairs of a digit and its place, each sentence a text."""
    right = said = there = 0
    for pairs in zip(sentences, references, strict=True):
        found, known = (Counter(PAIR.findall(text)) for text in pairs)
        right += (found & known).total()
        said, there = said + found.total(), there + known.total()
    return 2 * right / (said + there)


def at_random(training, references, seed=1):
    """For each reference a sentence for training of its length, drawn; lists of words."""
    random, by_length = np.random.default_rng(seed), {}
    for words in training:
        by_length.setdefault(len(words), []).append(words)
    return [(some := by_length[len(words)])[random.integers(len(some))] for words in references]


def of_net(args, pixels):
    """The sentences of a net, lists of words."""
    from caffelite.predict.caption_net import CaptionNet
    from caffelite.predict.preprocessing import Preprocessing

    name = f"{args.data}/words_vocabulary.txt"
    made = Preprocessing.of_net(args.model)
    net = CaptionNet(args.model, args.weights, made, Vocabulary.read(name), name)
    for first in range(0, len(pixels), 16):
        for row in net.outputs([net.crops(one) for one in pixels[first : first + 16]])[:, 0]:
            yield [one.symbol for one in net.caption(row, args.length, args.beam)]


def report(sentences, references):
    """{what is told: its value}."""
    told = {
        f"BLEU-{n}": value for n, value in zip(ORDERS, bleu(sentences, references), strict=True)
    }
    return told | {
        "F1 of pairs": f1(*([" ".join(one) for one in s] for s in (sentences, references)))
    }


def sheet(pixels, sentences):
    """The first pictures, each above its sentence: a picture, height x width x 3."""
    from caffelite.predict.caption_net import Caption
    from caffelite.predict.text_net import Symbol

    drawn = [
        Caption([Symbol(word, 0) for word in words]).draw(one[::-1].transpose(1, 2, 0))
        for one, words in zip(pixels, sentences, strict=True)
    ]
    height = max(map(len, drawn))
    drawn = [np.pad(one, [(0, height - len(one)), (0, 0), (0, 0)]) for one in drawn]
    rows = (drawn[k : k + COLUMNS] for k in range(0, len(drawn), COLUMNS))
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def main(argv=None):
    from caffelite.atomic import write_atomically
    from caffelite.data.annotated import AnnotatedSource
    from caffelite.data.image import encode

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("data", help="the folder of scenes and sentences")
    flag("--model", default=str(ROOT / "models" / "captions" / "deploy.prototxt"), metavar="FILE")
    flag("--weights", required=True, metavar="FILE")
    flag("--beam", type=int, default=1, metavar="N", help="sentences looked at together [1]")
    flag("--length", type=int, default=50, metavar="N", help="words at most [50]")
    flag("--most", type=int, metavar="N", help="scenes for testing [all]")
    flag("--draw", type=Path, metavar="FILE", help="draw the first ones and their sentences")
    args = parser.parse_args(argv)
    training, references = (
        [cut(line, True) for line in Path(args.data, f"scenes_{part}_captions.txt").open()]
        for part in ("train", "test")
    )
    training, references = (
        [[w for w in s if w != "\n"] for s in p] for p in (training, references)
    )
    references = references[: args.most]
    scenes = AnnotatedSource(f"{args.data}/scenes_test_lmdb")
    pixels = [scenes.sample(k)[0] for k in range(len(references))]
    scenes.close()
    sentences = list(of_net(args, pixels))
    found = {
        "the net": report(sentences, references),
        "at random": report(at_random(training, references), references),
    }
    print(f"{len(references)} scenes, a beam of {args.beam}")
    for name, told in found.items():
        print(f"{name:<10}", *(f"{what} {value:.3f}" for what, value in told.items()), sep="  ")
    if args.draw:
        drawn = sheet(pixels[:SHOWN], sentences[:SHOWN])
        write_atomically(args.draw, encode(drawn.transpose(2, 0, 1)[::-1], "png"))
    return found


if __name__ == "__main__":
    main()
