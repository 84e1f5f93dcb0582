"""What lint reads besides the text begins with the net that a file holds."""

from ..errors import CaffeliteError
from ..proto import caffe_pb2
from ..proto.scan import Mistake
from ..proto.text import likely_class, parse_or_mistake, read_text, with_plain_newlines
from ..proto.upgrade import upgrade_net


def net_at(path):
    """The NetParameter in the file at `path`; None where there is none, or one with mistakes."""
    text = with_plain_newlines(read_text(path, caffe_pb2.NetParameter))
    kind = likely_class(text)
    if kind is not caffe_pb2.NetParameter:
        return None
    try:
        return upgrade_net(parse_or_mistake(text, kind, str(path)))
    except (Mistake, CaffeliteError):  # which the rules tell
        return None
