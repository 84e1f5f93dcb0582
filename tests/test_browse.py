"""caffelite browse: pages of samples, as they are stored and as a net sees them."""

import base64
import http.client
import io
import re
import threading
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.cli import main
from caffelite.data.datum import DatumSource, from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.view import samples as view_samples
from caffelite.view.samples import Pages, Samples
from caffelite.view.server import Server

COUNT = 23
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 9, 8), np.uint8)
NET = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        transform_param { mirror: true crop_size: 6 scale: 0.5 mean_value: 10 mean_value: 20
                          mean_value: 30 }
        data_param { source: "db" backend: LMDB batch_size: 4 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
        data_param { source: "db" backend: LMDB batch_size: 4 } }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LmdbWriter("db") as database:
        for k, pixels in enumerate(PIXELS):
            database.put(
                b"%08d_<b>.png" % k, from_pixels(pixels, k % 3 if k else 7).SerializeToString()
            )
    Path("labels.txt").write_text("ant\n<script>\ncat\n")
    Path("net.prototxt").write_text(NET)


class Page(HTMLParser):
    """Samples of a page: their pictures (red, green, blue) and the words below; links."""

    def __init__(self, data):
        super().__init__()
        self.samples, self.links, self.text, self.tags = [], {}, "", set()
        self._link = None
        self.feed(data.decode())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self._link = attributes.get("href")
        if tag == "figure":
            self.samples.append(([], []))
        if tag == "img":
            data = base64.b64decode(attributes["src"].removeprefix("data:image/png;base64,"))
            self.samples[-1][0].append(np.asarray(Image.open(io.BytesIO(data))))

    def handle_data(self, data):
        self.text += data
        if self._link:
            self.links[data] = self._link
            self._link = None
        elif self.samples and data.strip():
            self.samples[-1][1].append(data.strip())

    def numbers(self):
        return [int(re.search(r"record (\d+)", words[0])[1]) for _, words in self.samples]


def browse(*words):
    assert main(["browse", *words, "--html=page.html"]) == 0
    return Page(Path("page.html").read_bytes())


def upright(pixels):
    return pixels[::-1].transpose(1, 2, 0)


def test_samples_are_shown_as_they_are_stored(capsys):
    found = browse("db")
    assert capsys.readouterr().out == "page.html\n"
    assert len(found.samples) == COUNT
    for k, (shown, words) in enumerate(found.samples):
        assert (shown[0] == upright(PIXELS[k])).all() and len(shown) == 1
        label = ("ant", "<script>", "cat")[k % 3]
        told = f"label {k % 3} {label}" if k else "label 7"
        assert words == [f'db: record {k} (key "{k:08d}_<b>.png")', told, "3 x 9 x 8"]
    assert not {"script", "b>"} & found.tags and "23 samples" in found.text
    assert "4 classes, of 1 to 8 samples" in found.text


def test_a_class_is_found_by_number_and_name():
    for word in ("2", "cat"):
        assert browse("db", "--class", word).numbers() == list(range(2, COUNT, 3))
    found = browse("db", "--class=cat", "--first=6", "--count=2")
    assert found.numbers() == [8, 11] and "from sample 6 on, of class 2 cat" in found.text
    assert browse("db", "--first=20").numbers() == [20, 21, 22]


def crops(pixels):
    """The pictures that a crop of 6, mirrored or not, can be."""
    for i in range(4):
        for j in range(3):
            crop = upright(pixels[:, i : i + 6, j : j + 6])
            yield from (crop, crop[:, ::-1])


@pytest.mark.parametrize("words", [["db", "--model=net.prototxt"], ["--model=net.prototxt"]])
def test_samples_are_shown_as_a_net_sees_them(words):
    found = browse(*words, "--draws=3")
    kinds = set()
    for pixels, (shown, _) in zip(PIXELS, found.samples, strict=True):
        assert (shown[0] == upright(pixels)).all() and len(shown) == 4
        places = [
            [k for k, crop in enumerate(crops(pixels)) if abs(crop - seen.astype(int)).max() < 2]
            for seen in shown[1:]
        ]
        assert all(len(place) == 1 for place in places)
        kinds |= {place for (place,) in places}
    assert len(kinds) > 12  # of 24 there are
    again = browse(*words, "--draws=3")
    assert all(
        (a[0][3] == b[0][3]).all() for a, b in zip(found.samples, again.samples, strict=True)
    )
    (shown, *_), *_ = browse(*words, "--phase=test", "--draws=1").samples
    assert (shown[0] == shown[1]).all()


def test_folders_and_lists():
    for k in range(4):
        Path("pictures", "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(upright(PIXELS[k])).save(f"pictures/{'ab'[k % 2]}/{k}.png")
    Path("list.txt").write_text("pictures/b/3.png 5\npictures/a/0.png 0\n")
    words = [words for _, words in browse("pictures").samples]
    assert [one[:2] for one in words] == [
        ['"pictures/a/0.png"', "label 0 a"],
        ['"pictures/a/2.png"', "label 0 a"],
        ['"pictures/b/1.png"', "label 1 b"],
        ['"pictures/b/3.png"', "label 1 b"],
    ]
    assert browse("pictures", "--class=b").samples[1][1] == words[3]
    (_, words), _ = browse("list.txt").samples
    assert words[:2] == ['list.txt:1: "pictures/b/3.png"', "label 5"]
    found = browse("pictures/a").samples
    assert [words for _, words in found] == [[f'"pictures/a/{k}.png"', "3 x 9 x 8"] for k in (0, 2)]
    Path("pictures/a/2.png").write_bytes(b"no picture")
    (_, first), (shown, second) = browse("pictures/a").samples
    assert first[1] == "3 x 9 x 8" and shown == [] and "no picture that can be" in second[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "expected DATA, or --model"),
        (["db", "--count=0"], 2, "--count: expected 1 to 1000, not 0"),
        (["db", "--first=23"], 2, "--first: expected 0 to 22, not 23"),
        (["db", "--class=cow"], 1, 'class: expected a whole number'),
        (["none"], 1, "none: no such folder"),
        (["db", "--model=deploy.prototxt"], 1, "has no layer that reads pictures"),
    ],
)  # fmt: skip
def test_mistakes_are_named(words, code, message, capsys):
    Path("deploy.prototxt").write_text('layer { name: "x" type: "Input" top: "x" }')
    assert main(["browse", *words, "--html=page.html"]) == code
    assert message in capsys.readouterr().err and not Path("page.html").exists()


@pytest.fixture
def served():
    samples = Samples(DatumSource("db"), "db", ["ant"], per_page=4)
    samples.count()
    with Server(samples, handler=Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)

        def get(query="", token=server.token, method="GET"):
            connection.request(method, f"/{token}/{query}", headers={"Content-Length": "0"})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Content-Security-Policy")

        try:
            yield samples, get
        finally:
            connection.close()
            server.shutdown()
            thread.join()


def test_pages_follow_each_other(served):
    _, get = served
    for start in ("", "?class=1"):
        seen, query = [], start
        while query is not None:
            status, data, policy = get(query)
            found = Page(data)
            assert status == 200 and "default-src 'none'" in policy and len(found.samples) <= 4
            seen += found.numbers()
            query = found.links.get("next")
        assert seen == (list(range(1, COUNT, 3)) if start else list(range(COUNT)))
    assert Page(get()[1]).links == {
        "all": "?first=0", "0 ant (7)": "?class=0", "1 (8)": "?class=1", "2 (7)": "?class=2",
        "7 (1)": "?class=7", "next": "?first=4",
    }  # fmt: skip
    assert Page(get("?first=8")[1]).links["previous"] == "?first=4"


def test_only_who_knows_the_address_sees_them(served):
    _, get = served
    assert get(token="guess")[0] == 403
    assert get("index.html")[0] == get("page.css")[0] == 404
    assert get(method="POST")[0] == 404
    assert get("?first=99")[0] == get("?class=<b>")[0] == 422


def test_a_page_reads_no_more_than_it_shows(served, monkeypatch):
    samples, get = served
    read = []
    sample = samples.source.sample
    monkeypatch.setattr(samples.source, "sample", lambda n: read.append(n) or sample(n))
    get("?first=8")
    assert read == [8, 9, 10, 11]
    monkeypatch.setattr(view_samples, "MOST_READ", 5 * PIXELS[0].size)
    samples.counts.clear()
    samples.counted = 0
    samples.count()
    found = Page(get("?class=7&first=1")[1])  # which only sample 0 is of
    assert found.samples == [] and found.links["next"] == "?first=6&class=7"
    assert "classes are counted in the first 5" in found.text
