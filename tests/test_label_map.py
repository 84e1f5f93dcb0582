"""Label maps, and which files with names of classes are some."""

import pytest

from caffelite.data.dataset import read_names
from caffelite.data.label_map import is_label_map
from caffelite.errors import DataError


@pytest.mark.parametrize(
    "text, names",
    [
        ('# of VOC\n\nitem {\n  name: "a"\n label: 2 display_name: "A" }\n', ["0", "1", "A"]),
        ("one\ntwo\n", ["one", "two"]),
    ],
)
def test_a_label_map_is_told_from_names_a_line_each(tmp_path, text, names):
    path = tmp_path / "names"
    path.write_text(text)
    assert is_label_map(path) == ("item" in text)
    assert read_names(path) == names


@pytest.mark.parametrize("label", [-1, 2147483647])
def test_a_list_of_names_has_a_length(tmp_path, label):
    (tmp_path / "map").write_text(f'item {{ name: "a" label: {label} }}')
    with pytest.raises(DataError, match=f"has the label {label}, expected 0 to"):
        read_names(tmp_path / "map")
