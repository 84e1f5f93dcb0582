"""Caffe's own programs, by the names and with the flags that they have there, as commands here.

The flags of `caffe` are those of all its actions; each looks at its own, and passes over others.
"""

import os
import re
import sys

ACTIONS = {
    "train": "solver snapshot weights level stage gpu sigint_effect sighup_effect",
    "test": "model weights iterations level stage gpu",
    "time": "model phase iterations level stage gpu",
    "device_query": "gpu",
}
"""{action: the flags that it looks at}."""

OLD = {
    "train_net": ("train", "--solver", "--snapshot"),
    "finetune_net": ("train", "--solver", "--weights"),
    "test_net": ("test", "--model", "--weights", "--iterations"),
    "net_speed_benchmark": ("time", "--model", "--iterations"),
    "device_query": ("device_query", "--gpu"),
}
"""{program of 2014: (the command, the flags that its words stand for)}."""

_SWITCHES = {"logtostderr", "alsologtostderr", "colorlogtostderr", "log_prefix"}
_LOGGING = {"log_dir", "minloglevel", "stderrthreshold", "v", "vmodule", "logbufsecs", *_SWITCHES}

_FLAG = re.compile(r"--?([A-Za-z][\w-]*)(=.*)?", re.DOTALL)

_USAGE = """\
usage: caffe ACTION [FLAGS]

actions:
  train         train a net, or fine-tune one: -solver FILE [-snapshot FILE | -weights FILE]
  test          score a net: -model FILE -weights FILE [-iterations 50]
  time          time a net, layer by layer: -model FILE [-iterations 50]
  device_query  tell of GPUs, of which there are none here: -gpu IDS

This is caffelite, which does the work of the program caffe. "caffelite --help" shows what else
there is, "caffelite train --help" all flags.
"""


def words_of(program, words):
    """What to call caffelite with, for a program of Caffe's and its words; [] if that was all."""
    if program == "caffe":
        return _of_caffe(words)
    if program.startswith("upgrade_"):
        return ["upgrade", *words]
    command, *flags = OLD.get(program, (program,))
    if not flags:
        return [command, *words]
    plain = [word for word in words if word not in ("CPU", "GPU")]
    given = [part for pair in zip(flags, plain, strict=False) for part in pair]
    return [command, *given, *plain[len(flags) :]]


def _of_caffe(words):
    action, flags = _split(words)
    names = {name for name, _ in flags}
    if action is None and names & {"version"}:
        print("caffe version 1.0.0, as caffelite knows it")
        return []
    if action not in ACTIONS:
        if action is None or action == "help":
            print(_USAGE, end="", file=sys.stdout if action or names else sys.stderr)
            return []
        return list(words)
    known = {name for reads in ACTIONS.values() for name in reads.split()}
    result = [action] if names & {"q", "quiet"} else [action, "--verbose"]
    for name, given in flags:
        if name in known - set(ACTIONS[action].split()):
            print(
                f"caffe {action}: passing over -{name}, which it does not look at", file=sys.stderr
            )
        elif name in _LOGGING:
            _set_logging(name, given[-1].partition("=")[2] or given[-1])
        else:
            result += given
    if action == "test" and "iterations" not in names:
        result += ["--iterations", "50"]
    return result


def _split(words):
    """(the action or None, [(name of a flag, the words that it takes)])."""
    action, flags, words = None, [], list(words)
    while words:
        word = words.pop(0)
        flag = _FLAG.fullmatch(word)
        if flag:
            takes = not flag[2] and flag[1] not in {"help", "version", *_SWITCHES}
            takes = takes and words and not _FLAG.fullmatch(words[0])
            flags.append((flag[1], [word, words.pop(0)] if takes else [word]))
        elif action is None:
            action = word
        else:
            flags.append(("", [word]))
    return action, flags


def _set_logging(name, value):
    if name == "minloglevel":
        os.environ["GLOG_minloglevel"] = value
    elif name == "log_dir":
        print(
            "caffe: passing over -log_dir: the log goes to stderr, 2> FILE keeps it",
            file=sys.stderr,
        )
