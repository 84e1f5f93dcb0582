"""The table of speeds by commit: what is measured again replaces what was."""

import pytest

from tools import history

ROW = ("abc1234", "2026-11-29", "a CPU", "2", "2.13.0", "lenet", "64", "1")


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "TABLE", tmp_path / "history.csv")
    monkeypatch.setattr(history, "PICTURE", tmp_path / "history.svg")


def test_a_commit_stands_once_for_each_setting(monkeypatch):
    speeds = iter((1.5, 1.25, 2.0))
    monkeypatch.setattr(
        history, "measure", lambda commit, _: [(commit, *ROW[1:], f"{next(speeds):.3f}", "1.750")]
    )
    history.main(["one", "two", "--threads", "1"])
    history.main(["one"])
    assert history.read() == [
        ["one", *ROW[1:], "2.000", "1.750"],
        ["two", *ROW[1:], "1.250", "1.750"],
    ]
    assert history.PICTURE.read_text().startswith("<?xml")


def test_a_table_of_other_columns_is_not_added_to():
    history.TABLE.write_text("commit,speed\nabc,1\n")
    with pytest.raises(AssertionError, match="expected"):
        history.read()
