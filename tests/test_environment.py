import os
import subprocess
import sys

import pytest

from caffelite import environment
from caffelite.errors import CaffeliteError


def test_a_switch_is_one_of_its_values_or_none(monkeypatch):
    assert environment.choice("SWITCH", ("on", "off"), "on") == "on"
    assert environment.choices("SWITCH", ("a", "b")) is None
    assert environment.number("SWITCH", 7, "pixels") == 7
    monkeypatch.setenv("SWITCH", "")
    assert environment.choice("SWITCH", ("on", "off"), "on") == "on"
    monkeypatch.setenv("SWITCH", "b, a")
    assert environment.choices("SWITCH", ("a", "b")) == ["b", "a"]
    monkeypatch.setenv("SWITCH", "12")
    assert environment.number("SWITCH", 7, "pixels") == 12


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (lambda: environment.choice("S", ("on", "off"), "on"), "of", '"on", "off"; .* "off"'),
        (lambda: environment.choices("S", ("one", "two")), "two,ane", 'some, .*; .* "one"'),
        (lambda: environment.number("S", 7, "pixels"), "-1", '"-1", expected a number of pixels'),
        (lambda: environment.number("S", 7, "pixels"), "0", '"0", expected a number of pixels'),
    ],
)
def test_what_is_none_of_them_is_refused(read, value, message, monkeypatch):
    monkeypatch.setenv("S", value)
    with pytest.raises(CaffeliteError, match=f"the environment has S=.*{message}"):
        read()


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("CAFFELITE_CONVOLUTION", "direct,wingorad", "winograd"),
        pytest.param("CAFFELITE_PLAN", "of", "off", marks=pytest.mark.slow),
    ],
)
def test_a_misspelt_switch_ends_a_command(name, value, hint, tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "caffelite", "time", "--model", net, "--iterations", "1"],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f'the environment has {name}="{value}", expected' in done.stderr
    assert f'did you mean "{hint}"?' in done.stderr and "Traceback" not in done.stderr
