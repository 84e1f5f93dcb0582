"""How many questions about scenes of digits a net answers rightly, by what they ask.

    python tools/scene_qa.py data/captions data/questions --weights snapshots/scene-qa_iter_1500.caffemodel
    python tools/scene_qa.py data/captions data/questions --model models/scene-qa/blind.prototxt \\
        --weights snapshots/blind_iter_1500.caffemodel

The net is one for training, which is run over all questions for testing. Beside it stands what can
be said without looking: the answer that this very question has most often in training. What lies
beside a digit is told, but does not count in the last line.
"""  # noqa: E501

import argparse
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

KINDS = {
    "how many": "how many ",
    "is there": "is there ",
    "what is at": "what is at ",
    "what is beside": "what is (left of|right of|above|below) ",
}
UNCOUNTED = "what is beside"  # relations: the digits of two places at once
LINE = re.compile(r"(.+ \?) (\w+)\n?")


def read(path):
    """[(question, answer)] of a file that `caffelite dataset digit-scenes` made."""
    from caffelite.errors import DataError

    found = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = LINE.fullmatch(line)
            if match is None:
                raise DataError(
                    f"{path}:{number}: expected QUESTION ? ANSWER, not {line.strip()!r}"
                )
            found.append(match.groups())
    return found


def kind(question):
    """Which of KINDS a question is, or itself."""
    return next((name for name, words in KINDS.items() if re.match(words, question)), question)


def commonest(training, questions):
    """What each question was answered most often in training; None for one that was not asked."""
    answers = defaultdict(Counter)
    for question, answer in training:
        answers[question][answer] += 1
    return [answers[q].most_common(1)[0][0] if q in answers else None for q in questions]


def of_net(model, weights, vocabulary, count):
    """The answers of a net to the first `count` questions of its test data."""
    import caffelite
    from caffelite.data.text import Vocabulary

    symbols = Vocabulary.read(vocabulary).symbols
    net = caffelite.Net(model, caffelite.TEST, weights=weights)
    found = []
    while len(found) < count:
        scores = net.forward(blobs=["scores"])["scores"]
        found += [symbols[k] for k in scores[0, :, : len(symbols)].argmax(axis=1)]
    return found[:count]


def report(pairs, answers):
    """{kind: (right, questions)}, and "all" of those that count."""
    told = {name: [0, 0] for name in [*KINDS, "all"]}
    for (question, right), answer in zip(pairs, answers, strict=True):
        own = kind(question)
        for name in [own] if own == UNCOUNTED else [own, "all"]:
            told[name][0] += answer == right
            told[name][1] += 1
    return told


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("scenes", help="the folder of scenes, and of their questions as text")
    flag("questions", help="the folder of questions as records, and of their vocabulary")
    default = str(ROOT / "models" / "scene-qa" / "train_val.prototxt")
    flag("--model", default=default, metavar="FILE")
    flag("--weights", required=True, metavar="FILE")
    args = parser.parse_args(argv)
    training, pairs = (read(f"{args.scenes}/scenes_{p}_questions.txt") for p in ("train", "test"))
    vocabulary = f"{args.questions}/words_vocabulary.txt"
    found = {
        "the net": report(pairs, of_net(args.model, args.weights, vocabulary, len(pairs))),
        "commonest": report(pairs, commonest(training, [question for question, _ in pairs])),
    }
    print(f"{'':<15}{'questions':>10}", *(f"{name:>10}" for name in found))
    for name in [*KINDS, "all"]:
        shares = (
            right / count if count else float("nan")
            for right, count in (told[name] for told in found.values())
        )
        print(
            f"{name:<15}{found['the net'][name][1]:>10}", *(f"{share:>10.3f}" for share in shares)
        )
    return found


if __name__ == "__main__":
    main()
