"""Flags that classify.py and detect.py have in common."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import numpy as np

from ....data import mean_file


def parser(what: str, model: str) -> argparse.ArgumentParser:
    """A parser with the files, and what pictures go through; a model of Caffe's is the default.

    That model, and the mean picture, are where they are for the script: beside it, in Caffe.
    """
    here = os.path.dirname(sys.argv[0])
    folder = os.path.join(here, "../models", model)
    mean = os.path.join(here, "caffe/imagenet/ilsvrc_2012_mean.npy")
    made = argparse.ArgumentParser(description=what)
    flag = made.add_argument
    flag("input_file")
    flag("output_file")
    flag("--model_def", default=f"{folder}/deploy.prototxt", help="the net's prototxt")
    flag("--pretrained_model", default=f"{folder}/{model}.caffemodel", help="its weights")
    flag("--gpu", action="store_true", help="taken and passed over")
    flag("--mean_file", default=mean, help="a mean picture, .npy; '' for none")
    flag("--input_scale", type=float, help="a factor after the mean is subtracted")
    flag("--raw_scale", type=float, default=255.0, help="a factor before that")
    flag("--channel_swap", default="2,1,0", help="the order of channels")
    return made


def preprocessing(args: argparse.Namespace) -> dict[str, Any]:
    """Options of a Classifier or Detector; the mean as it is in its file."""
    if args.gpu:
        from ..._caffe import set_mode_gpu

        set_mode_gpu()
    swap = numbers(args.channel_swap) if args.channel_swap else None
    mean: Any = np.asarray(mean_file.read(args.mean_file)) if args.mean_file else None
    return dict(
        mean=mean, input_scale=args.input_scale, raw_scale=args.raw_scale, channel_swap=swap
    )


def numbers(text: str) -> list[int]:
    """Whole numbers, separated by commas."""
    return [int(word) for word in text.split(",")]
