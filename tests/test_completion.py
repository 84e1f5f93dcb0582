"""Shell completion: shells that are given the scripts really complete."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from caffelite.cli import commands, main

needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """{shell: path of its script}"""
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        command = [sys.executable, "-m", "caffelite", "completion", shell]
        with open(folder / shell, "w") as file:
            subprocess.run(command, stdout=file, check=True)
    return {shell: folder / shell for shell in ("bash", "zsh", "fish")}


def in_bash(scripts, *words):
    """What bash offers for the last of the words, as its own completion calls the function."""
    code = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_caffelite; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", code, "-", str(scripts["bash"]), "caffelite", *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not done.stderr
    return done.stdout.split()


@needs_bash
def test_commands(scripts):
    assert in_bash(scripts, "") == [*commands(), "--help", "--version"]
    assert in_bash(scripts, "com") == [c for c in commands() if c.startswith("com")]


@needs_bash
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["train", "--sol"], ["--solver"]),
        (["train", "-sol"], ["-solver"]),
        (["time", "--phase", ""], ["TRAIN", "TEST"]),
        (["time", "-phase", "TE"], ["TEST"]),
        (["time", "--phase", "=", "TR"], ["TRAIN"]),
        (["time", "--phase", "="], ["TRAIN", "TEST"]),
        (["train", "--sighup_effect", "s"], ["stop", "snapshot"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["visualize", "f"], ["filters", "features", "field"]),
        (["visualize", "filters", "--wei"], ["--weights"]),
        (["train", "--solver", ""], []),  # a file: bash's own completion
        (["summary", ""], []),
        (["nonsense", "--"], []),
        (["lint", "--q"], ["--quiet"]),
    ],
)
def test_flags_and_values(scripts, words, offered):
    assert in_bash(scripts, *words) == offered


@needs_bash
def test_every_flag_of_every_command(scripts, capsys):
    for command in commands():
        assert main([command, "--help"]) == 0
        told = set(re.findall(r"(?<![\w-])--[\w-]+", capsys.readouterr().out.partition("[-h]")[2]))
        offered = set(in_bash(scripts, command, "--"))
        options = {word for word in offered if not word.startswith("--no-")}
        assert options >= {"--help", "--quiet", "--verbose"}
        assert options <= told, command


@needs_bash
def test_at_the_keyboard(scripts, tmp_path):
    """Keys typed at an interactive bash; Tab completes a command, a flag, a value and a file."""
    pty = pytest.importorskip("pty")
    (tmp_path / "deploy.prototxt").touch()
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "PS1": "$ ", "INPUTRC": os.devnull}
    bash = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, env=environment,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = ""

    def wait_for(text):
        nonlocal seen
        end = time.monotonic() + 30
        while text not in seen.replace("\a", ""):
            assert time.monotonic() < end, seen
            seen += os.read(master, 4096).decode()

    os.write(master, f"caffelite() {{ echo GOT: \"$@\"; }}; source '{scripts['bash']}'\n".encode())
    os.write(master, b"echo rea''dy\n")
    wait_for("ready\r\n")
    os.write(master, b"caffelite summ\t--pha\tTES\tdep\t\n")
    wait_for("GOT: summary --phase TEST deploy.prototxt\r\n")
    os.write(master, b"exit\n")
    assert bash.wait(30) == 0
    os.close(master)


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish")
def test_fish(scripts):
    def offered(line):
        code = f"source {scripts['fish']}; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr
        return [row.partition("\t")[0] for row in done.stdout.splitlines()]

    assert offered("caffelite summ") == ["summary"]
    assert "--solver" in offered("caffelite train --s")
    assert offered("caffelite time --phase T") == ["TEST", "TRAIN"]
    assert set(offered("caffelite completion ")) >= {"bash", "zsh", "fish"}


@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh")
def test_zsh_reads_its_script(scripts, tmp_path):
    shutil.copy(scripts["zsh"], tmp_path / "_caffelite")
    code = (
        f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D; "
        "print $_comps[caffelite]; autoload +X _caffelite && print loaded"
    )
    done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["_caffelite", "loaded"], done.stderr
    assert "'--phase=[\\[TEST\\]]:value:(TRAIN TEST)'" in scripts["zsh"].read_text()


def test_mistakes(capsys):
    assert main(["completion"]) == 2
    assert main(["completion", "tcsh"]) == 2
    assert "tcsh" in capsys.readouterr().err
