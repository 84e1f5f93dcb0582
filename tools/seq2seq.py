"""How many numbers and dates of the held-out ones a net writes in digits without a mistake.

    caffelite dataset number-words --out data
    caffelite train --solver solvers/seq2seq.prototxt
    python tools/seq2seq.py data --weights snapshots/seq2seq_iter_3000.caffemodel --beam 3

A text with a word that was in none for training, "zero" where 0 is held out, counts as wrong.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

SHOWN = 10  # mistakes


def right(pairs, answers):
    """{"numbers": (wholly right, pairs), "dates": ..., "all": ...}."""
    counts, good = Counter(), Counter()
    for (_, digits), answer in zip(pairs, answers, strict=True):
        for name in ("dates" if "-" in digits else "numbers", "all"):
            counts[name] += 1
            good[name] += answer == digits
    return {name: (good[name], counts[name]) for name in ("numbers", "dates", "all")}


def main(argv=None):
    from caffelite.data.text import Vocabulary
    from caffelite.predict.sequence_net import SequenceNet

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("data", help="the folder that `caffelite dataset number-words` has made")
    default = str(ROOT / "models" / "seq2seq" / "deploy.prototxt")
    flag("--model", default=default, metavar="FILE")
    flag("--weights", required=True, metavar="FILE")
    flag("--beam", type=int, default=1, metavar="N", help="texts looked at together [1]")
    flag("--most", type=int, metavar="N", help="pairs for testing [all]")
    args = parser.parse_args(argv)
    names = [f"{args.data}/number_{side}_vocabulary.txt" for side in ("words", "digits")]
    net = SequenceNet(args.model, args.weights, *map(Vocabulary.read, names), names)
    lines = Path(args.data, "number_test_pairs.txt").read_text().splitlines()
    pairs = [line.split("\t") for line in lines[: args.most]]
    longest = max(len(digits) for _, digits in pairs) + 1
    answers = [
        "".join(one.symbol for one in net.answer(words, longest, args.beam))
        if net.given.numbers.keys() >= {*words.split()}
        else None
        for words, _ in pairs
    ]
    found = right(pairs, answers)
    for name, (good, count) in found.items():
        print(f"{name:<8} {good} of {count} wholly right: {good / max(1, count):.4f}")
    wrong = [(*pair, one) for pair, one in zip(pairs, answers, strict=True) if pair[1] != one]
    for words, digits, answer in wrong[:SHOWN]:
        print(f"  {words}: {answer}, not {digits}")
    return found


if __name__ == "__main__":
    main()
