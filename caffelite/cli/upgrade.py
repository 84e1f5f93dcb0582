"""Rewrite an old net, solver or .caffemodel in today's form.

    caffelite upgrade old.prototxt new.prototxt
    caffelite upgrade old.caffemodel new.caffemodel
    caffelite upgrade --as-meant hed.prototxt hed-here.prototxt

IN may be a net or a solver as text, or a net with weights in binary; which, shows in the file. Old
are V0 and V1 layers, input fields, transform options inside data layers, solver_type. OUT is of the
same kind as IN, and a copy of it if nothing in it is old. Comments in text are lost otherwise.

--as-meant writes down what the Caffe of FCN and of HED reads into files that do not say it: a Crop
without offset is where its second bottom lies in the first (aligned: true), and a loss on HED's
labels weighs edges (class_balanced: true). Nets that leave such things unsaid are warned about
where they run.

exit codes, which are those of Caffe's upgrade tools:
  0    done
  1    OUT is written, but options that fit no layer had to be left out; or IN contradicts itself,
       or IN and OUT are not given
  2    IN cannot be read
"""

import logging
import re
import sys

from .. import file_kind, reading
from ..atomic import write_atomically
from ..errors import ProtoError
from ..json_text import json_text

_BINARY = re.compile(rb"[\0-\x08\x0e-\x1f]")  # control characters that text has no use for
_USAGE = "usage: caffelite upgrade IN OUT"

READS_NETS = True


def add_arguments(parser):
    parser.add_argument("files", nargs="*", metavar="IN OUT", help="the old file, the new file")
    parser.add_argument(
        "--as-meant", action="store_true", help="write down what files of forks leave unsaid, too"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = None  # the codes above hold here


def run(args):
    if len(args.files) != 2:
        print(_USAGE, file=sys.stderr)
        return 1
    source, out = args.files
    problems = []
    try:
        message, is_text, before = _read(source)
        data = _upgraded(message, is_text, source, problems, args.as_meant)
    except ProtoError as problem:
        print(problem, file=sys.stderr)
        return 2
    write_atomically(out, before if data is None else data)
    if args.json:
        print(json_text({"file": out, "upgraded": data is not None, "problems": problems}))
    else:
        print(f"{out}: {'a copy, nothing in it was old' if data is None else 'upgraded'}")
    for line in problems:
        print(line, file=sys.stderr)
    return 1 if problems else 0


def _read(path):
    """(NetParameter or SolverParameter, whether the file is text, its bytes)"""
    from google.protobuf.message import DecodeError

    from ..proto import caffe_pb2, message_bytes, text

    data = reading.data(path, error=ProtoError)
    if not _BINARY.search(data, 0, 4096):
        likely = text.likely_class(data.decode("utf-8", "replace"))
        return text.of_bytes(data, likely, path), True, data
    net = caffe_pb2.NetParameter()
    try:
        net = message_bytes.parse(caffe_pb2.NetParameter, data)
    except (DecodeError, ProtoError):
        net.Clear()
    if not (net.layer or net.layers):
        wanted, words = (
            "a net, a solver or a .caffemodel",
            "neither text nor a .caffemodel, or a damaged one",
        )
        raise file_kind.mistake(path, wanted, ProtoError, words, ("caffemodel",))
    return net, False, data


def _upgraded(message, is_text, path, problems, as_meant):
    """The bytes of the upgraded message; None if there is nothing to do."""
    from ..kept_bytes import bytes_of
    from ..proto import caffe_pb2, message_bytes, text, upgrade

    is_solver = isinstance(message, caffe_pb2.SolverParameter)
    old = (upgrade.solver_needs_upgrade if is_solver else upgrade.net_needs_upgrade)(message)
    log = logging.getLogger("caffelite")
    log.disabled = True  # it says that this command exists, and what `problems` say
    try:
        (upgrade.upgrade_solver if is_solver else upgrade.upgrade_net)(message, path, problems)
    finally:
        log.disabled = False
    nets = list(upgrade.inline_nets(message)) if is_solver else [message]
    said = [_say_what_is_meant(net) for net in nets] if as_meant else []
    if not old and not any(said):
        return None
    if not is_solver:
        message.ClearField("checksum")  # it is of the layers as they were
    return bytes_of(text.to_text(message)) if is_text else message_bytes.serialize(message)


def _say_what_is_meant(net):
    """Set the switches that say what is left unsaid; returns whether there were any."""
    from ..lint.filtered_net import filtered_nets
    from ..net.unsaid import unsaid

    said = False
    for state in filtered_nets(net):
        for at, (options, switch), _ in list(unsaid(state.layers, state.shape_of)):
            setattr(getattr(state.layers[at], options), switch, True)
            said = True
    return said
