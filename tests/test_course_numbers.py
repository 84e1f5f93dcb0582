"""models/course/numbers.md and tools/printed: what decks print of nets is held against the nets."""

import pytest

from tools import course_numbers
from tools.printed import sections
from tools.printed._line import in_words, line


@pytest.fixture(scope="module")
def made():
    return [*sections()]


@pytest.mark.slow
def test_the_page_says_what_the_nets_have(made):
    assert course_numbers.PAGE.read_text() == course_numbers.page(made), (
        "python tools/course_numbers.py"
    )


def test_what_differs_has_a_word_said_of_it(made):
    lines = [line for _, _, found in made for line in found]
    assert all(line.remark for line in lines if line.differs)
    assert {"000", "001", "002", "003", "004"} == {
        deck for one in lines for deck in one.decks.split(", ")
    }


@pytest.mark.parametrize(
    ("printed", "value", "here"),
    [
        ("34,944", 34_944, "34,944"),
        ("34,944", 34_945, "**34,945**"),
        ("22层", 22, "22层"),
        ("22层", 23, "**23**层"),
        ("159K", 159_999, "159,999"),
        ("159K", 160_000, "**160,000**"),
        ("2.4M", 2_408_448, "2,408,448"),
        ("4 M", 6_998_552, "**6,998,552**"),
        ("4 Max", 4, "4 Max"),
        ("60 Million", 60_965_224, "60,965,224"),
        ("大约6000万个参数", 60_965_224, "60,965,224个参数"),
        ("6000万个参数", 60_965_224, "**60,965,224**个参数"),
        ("1.38 亿", 138_357_544, "138,357,544"),
        ("13.8kw", 138_357_544, "138,357,544"),
        ("1.90 ×10^10", 19_058_106_368, "19,058,106,368"),
        ("5.30 ×10^10", 53_463_130_112, "**53,463,130,112**"),
        ("10^9", 3_145_728_000, "3,145,728,000"),
        ("10^9", 314_572_800, "**314,572,800**"),
        ("39.2%", 40.6, "**40.6%**"),
        ("CONV1, 8 layers", 8, "CONV1, 8 layers"),
    ],
)
def test_a_number_is_as_printed_to_its_last_digit(printed, value, here):
    made = line("000", "", printed, value)
    assert made.here == here
    assert made.differs == ("**" in here)


def test_every_number_of_a_line_is_computed():
    assert line("000", "", "3×3/2; 28×28×192", (3, 3), 2, [28, 28, 192]).here == "3×3/2; 28×28×192"
    with pytest.raises(AssertionError, match="more is printed"):
        line("000", "", "3×3/2", (3, 3))
    with pytest.raises(AssertionError, match="more is computed"):
        line("000", "", "3×3", (3, 3), 2)


def test_words_may_be_spaced_otherwise():
    assert not in_words("000", "", "3×3, 64 /2", "3×3,64 /2").differs
    assert in_words("000", "", "3×3, 64", "3×3, 64 3×3, 64").here == "**3×3, 64 3×3, 64**"
