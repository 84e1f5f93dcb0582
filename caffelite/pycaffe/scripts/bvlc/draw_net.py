"""A net's graph as a picture: what python/draw_net.py does."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ....proto import caffe_pb2
from ....proto.text import read_net
from ... import draw


def main(words: Sequence[str]) -> None:
    """Draw a net into a file, of the kind that its ending says."""
    flags = argparse.ArgumentParser(description="Draw a net.")
    flags.add_argument("input_net_proto_file")
    flags.add_argument("output_image_file")
    flags.add_argument("--rankdir", default="LR", help="TB, BT, LR or RL [LR]")
    flags.add_argument("--phase", default="ALL", choices=("TRAIN", "TEST", "ALL"))
    flags.add_argument("--display_lrm", action="store_true", help="tell lr_mult")
    args = flags.parse_args(list(words))
    phase = None if args.phase == "ALL" else caffe_pb2.Phase.Value(args.phase)
    print(f"Drawing net to {args.output_image_file}")
    net = read_net(args.input_net_proto_file)
    draw.draw_net_to_file(net, args.output_image_file, args.rankdir, phase, args.display_lrm)
