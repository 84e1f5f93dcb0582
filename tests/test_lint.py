"""lint: each text below says at its lines, after #!, which rules find something there."""

import json
import re
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import caffelite
from caffelite.cli import main
from caffelite.data.arrays import ArraySource
from caffelite.data.datum import write_database
from caffelite.errors import CaffeliteError
from caffelite.lint import descriptions, lint_file, lint_text
from caffelite.lint.meant import Meant
from caffelite.proto import caffe_pb2
from caffelite.proto.text import parse
from caffelite.proto.upgrade import upgrade_net

from .families import one_of_each

ROOT = Path(__file__).parent.parent

DATA = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        data_param { source: "no/such/db" batch_size: 8 backend: LMDB }
        transform_param { crop_size: 32 mirror: true } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
        data_param { source: "no/such/db" batch_size: 8 backend: LMDB }
        transform_param { crop_size: 32 } }
"""
CONV = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 }
        convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
"""
SCORES = """
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
        inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
"""
LOSS = """
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
        include { phase: TEST } }
"""
INPUT = """
layer { name: "data" type: "Input" top: "data" input_param {
        shape { dim: 2 dim: 6 dim: 9 dim: 9 } } }
"""
SOLVER = """
net: "train_val.prototxt"
base_lr: 0.01
lr_policy: "fixed"
momentum: 0.9
max_iter: 100
"""

DETECTOR = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
        data_param { source: "no/such/db" batch_size: 8 backend: LMDB }
        transform_param { resize_param { height: 32 width: 32 } } }
layer { name: "map" type: "Convolution" bottom: "data" top: "map"
        convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "prior" type: "PriorBox" bottom: "map" bottom: "data" top: "prior"
        prior_box_param { min_size: 9 max_size: 20 aspect_ratio: 2 } }
layer { name: "loc" type: "Convolution" bottom: "map" top: "loc" convolution_param {
        num_output: 16 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "loc_p" type: "Permute" bottom: "loc" top: "loc_p"
        permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc_f" type: "Flatten" bottom: "loc_p" top: "loc_f" }
layer { name: "conf" type: "Convolution" bottom: "map" top: "conf" convolution_param {
        num_output: 12 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "conf_p" type: "Permute" bottom: "conf" top: "conf_p"
        permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf_f" type: "Flatten" bottom: "conf_p" top: "conf_f" }
layer { name: "loss" type: "MultiBoxLoss" include { phase: TRAIN } top: "loss"
        bottom: "loc_f" bottom: "conf_f" bottom: "prior" bottom: "label" propagate_down: true
        propagate_down: true propagate_down: false propagate_down: false
        multibox_loss_param { num_classes: 3 code_type: CENTER_SIZE } }
layer { name: "conf_r" type: "Reshape" bottom: "conf_f" top: "conf_r" include { phase: TEST }
        reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "conf_s" type: "Softmax" bottom: "conf_r" top: "conf_s" include { phase: TEST }
        softmax_param { axis: 2 } }
layer { name: "scores" type: "Flatten" bottom: "conf_s" top: "scores" include { phase: TEST } }
layer { name: "found" type: "DetectionOutput" include { phase: TEST } top: "found"
        bottom: "loc_f" bottom: "scores" bottom: "prior"
        detection_output_param { num_classes: 3 code_type: CENTER_SIZE } }
layer { name: "eval" type: "DetectionEvaluate" include { phase: TEST } top: "eval"
        bottom: "found" bottom: "label" detection_evaluate_param { num_classes: 3 } }
"""

TEXTS = {
    "a detector": DETECTOR,
    "a detector with other classes": DETECTOR.replace(
        'layer { name: "eval"', 'layer { name: "eval" #! box-classes\n').replace(
        "detection_evaluate_param { num_classes: 3", "detection_evaluate_param { num_classes: 4"),
    "a detector with another background": DETECTOR.replace(
        'layer { name: "eval"', 'layer { name: "eval" #! box-classes\n').replace(
        "detection_evaluate_param {", "detection_evaluate_param { background_label_id: 2"),
    "a detector with another code": DETECTOR.replace(
        'layer { name: "found"', 'layer { name: "found" #! box-codes\n').replace(
        "detection_output_param { num_classes: 3 code_type: CENTER_SIZE",
        "detection_output_param { num_classes: 3 code_type: CORNER"),
    "a detector with other anchors": """
layer { name: "data" type: "Input" top: "data" input_param {
        shape { dim: 1 dim: 14 dim: 4 dim: 4 } } }
layer { name: "label" type: "Input" top: "label" include { phase: TRAIN } input_param {
        shape { dim: 1 dim: 1 dim: 3 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
        num_output: 14 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "loss" type: "RegionLoss" bottom: "conv" bottom: "label" top: "loss"
        include { phase: TRAIN } region_loss_param { num_class: 2 num: 2
        biases: 1 biases: 2 biases: 2 biases: 1 } }
layer { name: "found" type: "YoloDetectionOutput" bottom: "conv" top: "found" #! box-codes
        include { phase: TEST } yolo_detection_output_param { num_classes: 2 num_box: 2
        biases: 1 biases: 2 biases: 2 biases: 2 } }
""",
    "a detector whose heads do not fit its priors": DETECTOR.replace(
        "num_output: 16", "num_output: 24 #! box-heads\n").replace(
        'layer { name: "loss"', 'layer { name: "loss" #! shape\n').replace(
        'layer { name: "found"', 'layer { name: "found" #! shape\n'),
    "a comment": """
# lint: ignore unknown-typo #! unknown-rule
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "end" type: "Silence" bottom: "x" }
""",
    "nothing wrong": DATA + CONV + SCORES + LOSS,
    "a measure of pixels": """
layer { name: "data" type: "DenseImageData" top: "data" top: "label" dense_image_data_param {
        source: "no/such/list" batch_size: 2 new_height: 9 new_width: 9 } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param {
        num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
layer { name: "pixels" type: "SegAccuracy" bottom: "score" bottom: "label" top: "pixels" }
""",
    "a crop as FCN's Caffe reads it": INPUT
    + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
        num_output: 6 kernel_size: 3 pad: 4 weight_filler { type: "msra" } } }
layer { name: "crop" type: "Crop" bottom: "conv" bottom: "data" top: "crop" } #! fork-habit
layer { name: "meant" type: "Crop" bottom: "conv" bottom: "data" top: "meant"
        crop_param { offset: 0 } }
layer { name: "sum" type: "Eltwise" bottom: "crop" bottom: "meant" top: "sum" }
""",
    "edges as HED's Caffe counts them": """
layer { name: "data" type: "ImageLabelmapData" top: "data" top: "label" image_data_param {
        source: "no/such/list" batch_size: 2 new_height: 9 new_width: 9 } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param {
        num_output: 1 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "a" type: "SigmoidCrossEntropyLoss" #! fork-habit
        bottom: "score" bottom: "label" top: "a" }
layer { name: "b" type: "SigmoidCrossEntropyLoss" bottom: "score" bottom: "label" top: "b"
        loss_param { class_balanced: false } }
""",
    "a deploy net": INPUT
    + CONV
    + SCORES
    + 'layer { name: "p" type: "Softmax" bottom: "ip" top: "p" }',
    "nothing": " #! syntax",
    "comments alone": "#! syntax\n# no layer yet",
    "half typed": 'layer {\n  name: "conv"\n  convolution_param { #! syntax\n    num_output: 3',
    "an open string": 'layer {\n  name: "conv   #! syntax\n}',
    "an unknown field": 'layer {\n  name: "x"\n  kernal_size: 3 #! syntax\n}',
    "a wrong value": 'layer {\n  convolution_param { num_output: "x" } #! syntax\n}',
    "one brace too many": 'layer { name: "x" }\n} #! syntax',
    "an unknown type": INPUT
    + """
layer {
  name: "relu"
  type: "Relu"  #! unknown-type
  bottom: "data" top: "y"
}""",
    "no type": INPUT + 'layer { name: "x" bottom: "data" top: "y" } #! unknown-type',
    "counts": INPUT
    + """
layer { name: "a" type: "ReLU" top: "a" } #! bottom-count
layer { name: "b" type: "Concat" bottom: "data" bottom: "a" } #! top-count
layer { name: "c" type: "ReLU" bottom: "a" top: "c" top: "d" } #! top-count
layer { name: "e" type: "Silence" bottom: "c" bottom: "d" }""",
    "unknown bottoms": INPUT
    + """
layer { name: "a" type: "Sigmoid"
        bottom: "daat" #! unknown-bottom
        top: "a" }
layer { name: "b" type: "Eltwise" bottom: "data"
        bottom: "c" #! unknown-bottom
        top: "b" }
layer { name: "c" type: "Sigmoid" bottom: "b" top: "c" }""",
    "a bottom that one phase lacks": DATA.replace(
        'top: "label" include { phase: TEST }', "#! no-label\ninclude { phase: TEST }"
    )
    + CONV
    + SCORES
    + LOSS.replace('bottom: "label"', '\nbottom: "label" #! unknown-bottom\n'),
    "two producers": INPUT
    + """
layer { name: "a" type: "Sigmoid" bottom: "data" top: "y" }
layer { name: "b" type: "TanH" bottom: "data"
        top: "y" } #! two-producers
layer { name: "c" type: "Softmax" bottom: "y" top: "p" }""",
    "data for one phase that stands in both": DATA.replace("include { phase: TRAIN }", "").replace(
        'top: "data" top: "label" include { phase: TEST }',
        """ #! same-name
        top: "data" #! two-producers
        top: "label" #! two-producers
        include { phase: TEST }""",
    ).replace("mirror: true", "mirror: false")
    + CONV
    + SCORES
    + LOSS,
    "in place": INPUT
    + """
layer { name: "p" type: "Pooling" bottom: "data"
        top: "data" #! in-place
        pooling_param { kernel_size: 3 stride: 3 } }
layer { name: "s" type: "Softmax" bottom: "data" top: "s" }""",
    "in place beside another reader": INPUT
    + """
layer { name: "a" type: "Sigmoid" bottom: "data" top: "a" }
layer { name: "b" type: "Power" bottom: "a" top: "b" power_param { power: 2 } }
layer { name: "c" type: "ReLU" bottom: "a"
        top: "a" } #! read-and-overwritten
layer { name: "d" type: "Eltwise" bottom: "a" bottom: "b" top: "d" }""",
    "readers behind a layer in place": INPUT
    + """
layer { name: "c" type: "ReLU" bottom: "data" top: "data" }
layer { name: "a" type: "Sigmoid" bottom: "data" top: "a" }
layer { name: "d" type: "Eltwise" bottom: "data" bottom: "a" top: "d" }""",
    "include and exclude": INPUT
    + """
layer { name: "a" type: "Sigmoid" bottom: "data" top: "a"
        include { phase: TRAIN }
        exclude { stage: "x" } } #! include-exclude
""",
    "a phase that excludes nothing": INPUT
    + """
layer { name: "a" type: "Sigmoid" bottom: "data" top: "a"
        phase: TEST } #! phase-of-layer
layer { name: "b" type: "Dropout" bottom: "a" top: "b" phase: TEST include { phase: TEST } }""",
    "lists": INPUT
    + """
layer { name: "a" type: "Eltwise" bottom: "data" bottom: "data" top: "a"
        loss_weight: 0 loss_weight: 0 #! list-length
        propagate_down: true } #! list-length
""",
    "one name twice": INPUT
    + """
layer { name: "a" type: "Sigmoid" bottom: "data" top: "x" }
layer { name: "a" type: "TanH" bottom: "x" top: "y" } #! same-name
""",
    "tops that nothing reads": DATA
    + CONV
    + SCORES
    + """
layer { name: "norm" type: "LRN" bottom: "conv"
        top: "norm" } #! unused-top
layer { name: "more" type: "InnerProduct" bottom: "conv"
        top: "more" #! unused-top
        inner_product_param { num_output: 3 weight_filler { type: "msra" } } }
layer { name: "mask" type: "Pooling" bottom: "conv" top: "pool" top: "mask"
        pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "end" type: "Silence" bottom: "pool" }
layer { name: "shown" type: "Softmax" bottom: "ip" top: "prob" }
layer { name: "error" type: "EuclideanLoss" bottom: "ip" bottom: "ip" top: "error" loss_weight: 0 }
layer { name: "asum" type: "AbsVal" bottom: "ip" top: "asum" include { phase: TEST } }
"""
    + LOSS,
    "an input that nothing reads": """
layer { name: "data" type: "Input" top: "data"
        top: "info" #! unused-top
        input_param { shape { dim: 1 dim: 3 } shape { dim: 1 } } }
layer { name: "a" type: "Sigmoid" bottom: "data" top: "a" }""",
    "options of another type": INPUT
    + """
layer { name: "a" type: "Pooling" bottom: "data" top: "a"
        pooling_param { kernel_size: 2 }
        convolution_param { kernel_size: 2 } } #! foreign-options
""",
    "options that do nothing": DATA.replace(
        "batch_size: 8 backend",
        """batch_size: 8
        mean_file: "mean.binaryproto" #! ignored-option
        backend""",
        1,
    )
    + CONV
    + SCORES
    + LOSS,
    "options that are refused": INPUT
    + """
layer { name: "a" type: "Pooling" bottom: "data" top: "a"
        pooling_param { kernel_size: 2
                        engine: CUDNN } } #! refused-option
""",
    "lr_mult on nothing": DATA
    + CONV
    + """
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv"
        param { lr_mult: 1 } } #! param-on-nothing
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" param { lr_mult: 1 }
        param { lr_mult: 2 } #! param-on-nothing
        inner_product_param { num_output: 10 bias_term: false weight_filler { type: "xavier" } } }
"""
    + LOSS,
    "lr_mult on nothing, with data of a size that is not in the text": DATA.replace(
        "crop_size: 32", ""
    )
    + CONV.replace('top: "conv" }', 'top: "conv"\nparam { lr_mult: 1 } } #! param-on-nothing')
    + SCORES
    + LOSS,
    "sizes": INPUT
    + """
layer { name: "a" type: "Convolution" bottom: "data" top: "a" #! shape
        convolution_param { num_output: 8 kernel_size: 3 group: 4 } }
layer { name: "b" type: "Slice" bottom: "data" top: "b1" top: "b2" top: "b3" top: "b4" } #! shape
layer { name: "c" type: "Pooling" bottom: "data" top: "c" } #! shape
layer { name: "d" type: "Silence" bottom: "b1" bottom: "b2" bottom: "b3" bottom: "b4" bottom: "c" }
layer { name: "e" type: "Softmax" bottom: "a" top: "e" }""",
    "what is wrong for any size": DATA.replace("crop_size: 32", "")
    + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" #! shape
        convolution_param { kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "group" type: "Convolution" bottom: "data" top: "group"
        convolution_param { num_output: 4 group: 2 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "group" top: "sum" }
layer { name: "ip" type: "InnerProduct" bottom: "sum" top: "ip"
        inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
"""
    + LOSS,
    "windows": INPUT
    + """
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 8
        kernel_size: 4
        stride: 3 } } #! pixels-left-over
layer { name: "b" type: "Convolution" bottom: "a" top: "b" convolution_param { num_output: 8
        kernel_size: 2 stride: 2 pad: 1 } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 8
        kernel_size: 1 stride: 3 } }
layer { name: "d" type: "Deconvolution" bottom: "c" top: "d"
        convolution_param { num_output: 1 kernel_size: 3 stride: 2 } } #! uneven-overlap
layer { name: "e" type: "Deconvolution" bottom: "d" top: "e"
        convolution_param { num_output: 1 kernel_size: 4 stride: 2 } }
layer { name: "f" type: "Deconvolution" bottom: "e" top: "f" param { lr_mult: 0 }
        convolution_param { num_output: 1 kernel_size: 3 stride: 2 bias_term: false } }
layer { name: "g" type: "Interp" bottom: "f" top: "g" interp_param { zoom_factor: 2
        height: 9 } } #! ignored-option
layer { name: "h" type: "Silence" bottom: "b" bottom: "g" }""",
    "shared blobs": INPUT
    + """
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" }
        inner_product_param { num_output: 5 } }
layer { name: "b" type: "InnerProduct" bottom: "data" top: "b" param {
          name: "w" } #! shared-shape
        inner_product_param { num_output: 4 } }
layer { name: "c" type: "InnerProduct" bottom: "data" top: "c" param { name: "w" }
        inner_product_param { num_output: 5 } }""",
    "no loss": "#! no-loss"
    + DATA.replace(' top: "label"', "")
    + CONV
    + SCORES,
    "a loss that counts nothing": "#! no-loss"
    + DATA
    + CONV
    + SCORES
    + LOSS.replace('top: "loss"', 'top: "loss" loss_weight: 0'),
    "all frozen": "#! nothing-learns"
    + DATA
    + CONV.replace("lr_mult: 1 }", "lr_mult: 0 } param { lr_mult: 0 }")
    + SCORES.replace('top: "ip"', 'top: "ip" param { lr_mult: 0 } param { lr_mult: 0 }')
    + LOSS,
    "bottoms that are swapped": DATA
    + CONV
    + SCORES
    + """
layer { name: "loss" type: "HingeLoss" top: "loss" #! shape
        bottom: "label" bottom: "ip" } #! swapped-bottoms
""",
    "a softmax before a softmax": DATA
    + CONV
    + SCORES
    + """
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
layer { name: "loss" type: "SoftmaxWithLoss" top: "loss"
        bottom: "prob" bottom: "label" } #! activation-before-loss
layer { name: "focal" type: "FocalLoss" top: "focal"
        bottom: "prob" bottom: "label" } #! activation-before-loss
""",
    "what else there is of activations and losses": DATA
    + CONV
    + SCORES
    + """
layer { name: "relux" type: "ReLUX" bottom: "ip" top: "relux" }
layer { name: "drop" type: "SeLuDropout" bottom: "ip" top: "drop" }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
layer { name: "a" type: "SoftmaxWithLoss" top: "a"
        bottom: "relux" bottom: "label" } #! activation-before-loss
layer { name: "b" type: "FocalLoss" top: "b"
        bottom: "drop" bottom: "label" } #! activation-before-loss
layer { name: "h" type: "Input" top: "h" input_param { shape { dim: 10 dim: 10 } } }
layer { name: "c" type: "InfogainLoss" top: "c"
        bottom: "prob" bottom: "label" bottom: "h" } #! activation-before-loss
layer { name: "d" type: "HingeLoss" bottom: "relux" bottom: "label" top: "d" }
""",
    "labels of other layers that read them": DATA
    + CONV
    + SCORES
    + """
layer { name: "margin" type: "MarginInnerProduct" bottom: "ip" bottom: "label" top: "margin"
        margin_inner_product_param { num_output: 10 } } #! zero-weights
layer { name: "relu2" type: "ReLU" bottom: "margin" top: "margin" }
layer { name: "center" type: "CenterLoss" top: "center" loss_weight: 0.1 #! shape
        bottom: "label" bottom: "margin" #! swapped-bottoms
        center_loss_param { num_output: 10 } }
"""
    + LOSS,
    "other types of normalization and windows": INPUT
    + """
layer { name: "c1" type: "DepthwiseConvolution" bottom: "data" top: "c1" convolution_param {
        num_output: 6 kernel_size: 3
        bias_term: true } } #! bias-before-batch-norm
layer { name: "bn1" type: "BN" bottom: "c1" top: "c1" }
layer { name: "s1" type: "Scale" bottom: "c1" top: "c1" }
layer { name: "i1" type: "Im2col" bottom: "c1" top: "i1" convolution_param { kernel_size: 4
        stride: 2 } } #! pixels-left-over
""",
    "a type that nobody knows": DATA
    + CONV
    + """
layer { name: "det"
        type: "Detections" #! unknown-type
        bottom: "conv" top: "det" }
layer { name: "loss"
        type: "UnheardOfLoss" #! unknown-type
        bottom: "det" bottom: "label" top: "loss" }
""",
    "a relu on scores": DATA
    + CONV
    + SCORES
    + 'layer { name: "relu2" type: "ReLU" bottom: "ip" top: "ip" }'
    + LOSS.replace(
        'bottom: "ip" bottom: "label" top: "loss"',
        '\nbottom: "ip" bottom: "label" top: "loss" #! activation-before-loss\n',
    ),
    "one class": DATA
    + CONV
    + SCORES.replace("10", "1")
    + LOSS.replace(
        'bottom: "ip" bottom: "label" top: "loss"',
        '\nbottom: "ip" bottom: "label" top: "loss" #! one-class\n',
    ),
    "scores that start at 0 and are enlarged": DATA
    + CONV
    + """
layer { name: "score" type: "Convolution" bottom: "conv" top: "score"
        convolution_param { num_output: 5 kernel_size: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "score" top: "up" param { lr_mult: 0 }
        convolution_param { num_output: 5 kernel_size: 4 stride: 2 bias_term: false
          weight_filler { type: "bilinear" diagonal: true } } }
layer { name: "ends" type: "EuclideanLoss" bottom: "up" bottom: "up" top: "ends" }
layer { name: "edge" type: "Convolution" bottom: "conv" top: "edge"
        convolution_param { num_output: 1 kernel_size: 1 } }
layer { name: "weighed" type: "Convolution" bottom: "edge" top: "weighed"
        convolution_param { num_output: 1 kernel_size: 1 weight_filler { value: 0.2 } } }
layer { name: "sum" type: "Reduction" bottom: "weighed" top: "sum" loss_weight: 1 }
layer { name: "under" type: "Convolution" bottom: "conv" top: "under"
        convolution_param { num_output: 5 kernel_size: 1 } } #! zero-weights
layer { name: "over" type: "ReLU" bottom: "under" top: "over" }
layer { name: "sums" type: "Reduction" bottom: "over" top: "sums" loss_weight: 1 }
"""
    + SCORES
    + LOSS,
    "weights that are 0 for good": DATA
    + """
layer { name: "frozen" type: "Convolution" bottom: "data" top: "frozen" param { lr_mult: 0 }
        convolution_param { num_output: 4 kernel_size: 3 bias_term: false } }
"""
    + CONV.replace('bottom: "data"', 'bottom: "frozen"')
    + """
layer { name: "score" type: "Convolution" bottom: "conv" top: "score"
        convolution_param { num_output: 5 kernel_size: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "score" top: "up"
        param { lr_mult: 0 } #! zero-for-good
        convolution_param { num_output: 5 kernel_size: 4 stride: 2 bias_term: false } }
layer { name: "sum" type: "Reduction" bottom: "up" top: "sum" loss_weight: 1 }
"""
    + SCORES
    + LOSS,
    "weights that start at 0": DATA
    + CONV.replace(
        'weight_filler { type: "msra" }', '\nweight_filler { type: "constant" } #! zero-weights\n'
    )
    + """
layer { name: "hidden" type: "InnerProduct" bottom: "conv" top: "hidden"
        inner_product_param { num_output: 9 } } #! zero-weights
layer { name: "sigmoid" type: "Sigmoid" bottom: "hidden" top: "hidden" }
layer { name: "apart" type: "InnerProduct" bottom: "hidden" top: "apart"
        inner_product_param { num_output: 9 bias_filler { type: "uniform" } } }
layer { name: "relu2" type: "ReLU" bottom: "apart" top: "apart" }
layer { name: "ip" type: "InnerProduct" bottom: "apart" top: "ip"
        inner_product_param { num_output: 10 } }
"""
    + LOSS,
    "scores that start at 0 and are added to others": DATA
    + CONV
    + """
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "coarse"
        inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "fine" type: "InnerProduct" bottom: "conv" top: "fine"
        inner_product_param { num_output: 10 } }
layer { name: "fuse" type: "Eltwise" bottom: "coarse" bottom: "fine" top: "ip" }
"""
    + LOSS,
    "two layers that are one": DATA
    + CONV
    + """
layer { name: "ip1" type: "InnerProduct" bottom: "conv" top: "ip1"
        inner_product_param { num_output: 20 weight_filler { type: "xavier" } } }
layer { name: "ip2" type: "InnerProduct" top: "ip2"
        bottom: "ip1" #! linear-pair
        inner_product_param { num_output: 12 weight_filler { type: "xavier" } } }
layer { name: "relu2" type: "ReLU" bottom: "ip2" top: "ip2" }
layer { name: "narrow" type: "InnerProduct" bottom: "ip2" top: "narrow"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "narrow" top: "ip"
        inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
"""
    + LOSS,
    "batch norm": INPUT
    + """
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1" convolution_param { num_output: 8
        kernel_size: 3
        bias_term: true } } #! bias-before-batch-norm
layer { name: "bn1" type: "BatchNorm" bottom: "c1" top: "c1" } #! batch-norm-without-scale
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "c2" convolution_param { num_output: 8
        kernel_size: 3 bias_term: false } }
layer { name: "bn2" type: "BatchNorm" bottom: "c2" top: "c2" batch_norm_param {
        use_global_stats: false } } #! batch-statistics-in-test
layer { name: "s2" type: "Scale" bottom: "c2" top: "c2" } #! scale-without-bias
layer { name: "c3" type: "Convolution" bottom: "c2" top: "c3" convolution_param { num_output: 8
        kernel_size: 3 bias_term: false } }
layer { name: "bn3" type: "BatchNorm" bottom: "c3" top: "c3" }
layer { name: "s3" type: "Scale" bottom: "c3" top: "c3" scale_param { bias_term: true } }
layer { name: "c4" type: "Convolution" bottom: "c3" top: "c4" convolution_param { num_output: 8
        kernel_size: 3 bias_term: false } }
layer { name: "bn4" type: "BatchNorm" bottom: "c4" top: "c4" batch_norm_param { scale_bias: true } }
layer { name: "r4" type: "ReLU" bottom: "c4" top: "c4" }""",
    "labels in a layer of their own": """
layer { name: "d" type: "Data" top: "data" data_param { source: "a" batch_size: 2 backend: LMDB
        shuffle: true } #! labels-left-behind
        transform_param { scale: 2
        mirror_vertical: true #! labels-left-behind
        } }
layer { name: "l" type: "Data" top: "label" data_param { source: "b" batch_size: 2 backend: LMDB } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 8
        kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }""",
    "labels of whole pictures in a layer of their own": """
layer { name: "d" type: "Data" top: "data" data_param { source: "a" batch_size: 2 backend: LMDB
        label_shuffle: true } #! labels-left-behind
        transform_param { crop_size: 9 } }
layer { name: "l" type: "Data" top: "label" data_param { source: "b" batch_size: 2 backend: LMDB } }
layer { name: "c" type: "InnerProduct" bottom: "data" top: "c" inner_product_param { num_output: 8
        weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }""",
    "a mirror in testing": DATA.replace(
        "{ crop_size: 32 }", "{ crop_size: 32\n mirror: true } #! mirror-in-test\n"
    )
    + CONV
    + SCORES
    + LOSS,
    "old forms of nets": """
input: "data" #! old-form
input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layer { name: "c" type: "Concat" bottom: "data" bottom: "data" top: "c" concat_param {
  concat_dim: 1 } } #! old-form
""",
    "V1": """
layers { name: "data" type: DUMMY_DATA top: "data" dummy_data_param { #! old-form
  num: 1 channels: 2 height: 3 width: 4 } }
layers { name: "a" type: RELU bottom: "data" top: "a" blobs_lr: 1 } #! param-on-nothing
""",
    "V0": """
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8 #! old-form
layers { layer { name: "a" type: "relu" } bottom: "data" top: "a" } #! old-form
layers {
  layer { name: "b" type: "pool" kernelsize: 3 }
  bottom: "a" top: "b" } #! unused-top
layers {
  layer { name: "c" type: "tanh" }
  bottom: "c" top: "c" } #! unknown-bottom
""",
    "V0 of no known type": """ #! old-form
layers { layer { name: "a" type: "rleu" } bottom: "data" top: "a" } #! old-form
""",
    "both generations": """ #! old-form
layers { name: "data" type: DUMMY_DATA top: "data" } #! old-form
layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }""",
    "stages": """
layer { name: "a" type: "Input" top: "x" include { stage: "a" }
        input_param { shape { dim: 1 dim: 2 } } }
layer { name: "b" type: "Input" top: "x" include { stage: "b" }
        input_param { shape { dim: 1 dim: 3 } } }
layer { name: "even" type: "Slice" bottom: "x" top: "y" top: "z" } #! shape
""",
    "a solver": SOLVER,
    "nets of a solver": SOLVER.replace("prototxt\"", "prototxt\" #! train-net")
    + 'train_net: "x"',
    "no net": "#! train-net\n" + SOLVER.replace("net:", "test_net:").replace("test_net", "#"),
    "part of a solver": 'base_lr: 0.01 #! excerpt\nlr_policy: "fixed"',
    "types of solvers": SOLVER + 'type: "Adma" #! solver-type',
    "two types": SOLVER + 'type: "SGD"\nsolver_type: SGD #! old-form solver-type',
    "nowhere to go": SOLVER.replace("100", "0 #! no-length").replace("0.01", "0 #! no-length")
    + "clip_gradients: 0 #! no-length",
    "ranges": SOLVER.replace("0.9", "1.9 #! out-of-range")
    + """
iter_size: 0 #! out-of-range
average_loss: 0 #! out-of-range
weight_decay: 1 regularization_type: "L3" #! out-of-range""",
    "schedules": SOLVER.replace('"fixed"', '"setp" #! schedule'),
    "a schedule without what it needs": SOLVER.replace('"fixed"', '"multistep" #! schedule'),
    "what a schedule does not read": SOLVER + "gamma: 0.1 #! unread-option",
    "a rule of averages that there is not": SOLVER
    + 'eval_type: "detection"\nap_version: "12point" #! out-of-range',
    "what is no finite number": SOLVER + "weight_decay: nan #! out-of-range",
    "a label map": 'item { name: "cat" label: 1 } #! syntax',
    "what a fork does, and is not done here": SOLVER + "disabled_update: true #! undone-word",
    "what a type does not read": SOLVER + "rms_decay: 0.9 #! unread-option",
    "steps": SOLVER.replace('"fixed"', '"multistep"')
    + """
gamma: 10 #! rate-grows
stepvalue: 50
stepvalue: 40 #! unreached-step
stepvalue: 200 #! unreached-step""",
    "a step after the end": SOLVER.replace('"fixed"', '"step"')
    + "gamma: 0.1\nstepsize: 100 #! unreached-step",
    "tests": SOLVER + "test_iter: 3 #! test-options",
    "tests of no size": SOLVER + "test_interval: 3\ntest_iter: 0 #! test-options",
    "when to test nothing": SOLVER + "test_interval: 3 #! test-options",
    "more nets than tests": SOLVER
    + 'test_interval: 3\ntest_net: "a"\ntest_net: "b"\ntest_iter: 1 #! test-options',
    "tests to decide by": SOLVER.replace('"fixed"', '"plateau" #! test-options')
    + "gamma: 0.5\nearly_stop: 3 #! test-options",
    "weights that are lost": SOLVER + "snapshot_after_train: false #! no-snapshot",
    "a net inside a solver": SOLVER.replace('net: "train_val.prototxt"', "")
    + """
net_param {
  layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
  layer { name: "a" type: "Relu" bottom: "x" top: "y" } #! unknown-type
}""",
}  # fmt: skip


def marked(text):
    """{(line, rule)} of the marks in a text."""
    marks = set()
    for number, line in enumerate(text.splitlines(), 1):
        for names in re.findall(r"#!([^#]*)", line):
            marks |= {(number, name) for name in names.split()}
    return marks


@pytest.mark.parametrize("what", TEXTS)
def test_findings_are_those_marked(what):
    found = lint_text(TEXTS[what])
    assert {(finding.line, finding.rule) for finding in found} == marked(TEXTS[what]), found


@pytest.mark.parametrize(
    "labels, note",
    [
        ([0, 1, 2], ""),
        ([1, 2], ""),
        ([0, 1], 'lacks the class 2, which MultiBoxLoss "loss" has'),
        ([0, 1, 2, 3], 'has the class 3, which MultiBoxLoss "loss" has not'),
        ([1, 1], "items 1 and 2 both have the label 1"),
    ],
)
def test_classes_against_a_label_map(tmp_path, monkeypatch, capsys, labels, note):
    monkeypatch.chdir(tmp_path)
    items = (f'item {{ name: "{k}" label: {label} }}' for k, label in enumerate(labels))
    Path("map.prototxt").write_text("\n".join(items))
    named = 'annotated_data_param { label_map_file: "map.prototxt" } data_param'
    Path("net.prototxt").write_text(DETECTOR.replace("data_param", named, 1))
    assert main(["lint", "net.prototxt"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "label map" in line]
    assert [note in line for line in told] == [True] * bool(note)


def test_every_rule_has_a_text():
    assert {rule for text in TEXTS.values() for _, rule in marked(text)} == set(descriptions())


@pytest.mark.parametrize("path", sorted(ROOT.glob("solvers/*.prototxt")), ids=lambda p: p.stem)
def test_solvers_that_come_along_have_no_findings(path):
    assert lint_file(path) == []


NETS = sorted(ROOT.glob("models/*/train_val.prototxt"), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("name", one_of_each([path.parent.name for path in NETS]))
def test_nets_that_come_along_have_no_findings(name):
    """What is as published, and odd, is said to be meant in a comment at the head of the file."""
    assert lint_file(ROOT / "models" / name / "train_val.prototxt") == []


def test_what_their_comments_let_pass_is_there():
    texts = [path.read_text() for path in sorted(ROOT.glob("models/*/train_val.prototxt"))]
    odd = [text for text in texts if "lint: ignore" in text]
    assert len(odd) >= 19
    for text in odd:
        named = {rule for _, rule in Meant(text).named}
        assert {found.rule for found in lint_text(text.replace("lint: ignore", ""))} == named


def test_a_comment_says_what_is_meant():
    text = 'layer { name: "a" type: "X" bottom: "y" top: "z" }'
    assert [f.rule for f in lint_text(text)] == ["unknown-bottom", "unknown-type"]
    beside = f"{text}  # lint: ignore unknown-type\n{text}"
    assert ("unknown-type", 1) not in [(f.rule, f.line) for f in lint_text(beside)]
    assert ("unknown-type", 2) in [(f.rule, f.line) for f in lint_text(beside)]
    above = f'name: "n"\n# lint: ignore unknown-type , unknown-bottom\n{text}'
    assert lint_text(above) == []
    assert (
        lint_text(
            f"# A net.\n\n# lint: ignore unknown-type,unknown-bottom (it is\n# odd)\n\n{text}"
        )
        == []
    )


def test_every_finding_is_there_and_in_order():
    text = 'layer { name: "a" type: "X" bottom: "y" top: "z" bottom: "w" }\n' * 2
    found = lint_text(text, "net.prototxt")
    assert [(f.line, f.rule) for f in found] == [
        *[(1, "unknown-bottom")] * 2,
        *[(1, "unknown-type")],
        *[(2, "same-name"), (2, "two-producers")],
        *[(2, "unknown-bottom")] * 2,
        (2, "unknown-type"),
    ]
    assert str(found[0]) == (
        'net.prototxt:1: layer "a": bottom "w": no layer before it produces this blob '
        "[unknown-bottom]"
    )


def test_a_finding_says_in_which_state_it_is():
    (finding,) = lint_text(TEXTS["stages"])
    assert '"x" has shape (1, 3)' in finding.message
    assert finding.message.endswith(' (with stage "b")')
    (finding,) = lint_text(TEXTS["a mirror in testing"])
    assert finding.message.endswith("when testing, too")  # the layer is in no other phase
    (finding,) = lint_text(TEXTS["one class"])
    assert "(in" not in finding.message
    one = [f for f in lint_text(TEXTS["batch norm"]) if f.rule == "batch-statistics-in-test"]
    assert one[0].message.endswith(" (in phase TEST)")


CORPUS = [*TEXTS.values(), *(p.read_text() for p in sorted(ROOT.glob("models/lenet/*.prototxt")))]
PIECES = [
    *("layer {", "}", "{", '"', "[", "]", "<", "-1", "0", "4294967295", "nan", 'type: "SPP"'),
    *(
        'bottom: "data"',
        'top: "data"',
        "axis: -9",
        "group: 0",
        "include { phase: TEST }",
        "#",
        "\\",
    ),
    *('type: "Split"', "dim: 0", "num_output: 4294967295", "kernel_size: 0", "param {}", "é", "\0"),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # protobuf's, of odd escapes
@settings(max_examples=150)
@given(st.data())
def test_half_typed_text_is_a_finding_not_an_error(data):
    """Text that is cut off, or has pieces taken out of it or put into it, gives findings."""
    text = data.draw(st.sampled_from(CORPUS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(
            st.one_of(st.integers(start, min(start + 40, len(text))), st.just(len(text)))
        )
        text = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    for finding in lint_text(text):
        assert 1 <= finding.line <= text.count("\n") + text.count("\r") + 1
        assert finding.rule in descriptions() and finding.message


def test_a_net_that_does_not_build_has_a_finding():
    """LeNet with a number, name or field replaced, left out or doubled, many times over."""
    text = (ROOT / "models" / "lenet" / "deploy.prototxt").read_text()
    random = Random(0)
    places = list(re.finditer(r'(?<= )\d+\b|"\w+"|(?:bottom|top): "\w+"|\w+: \d+', text))
    broken = 0
    for _ in range(150):
        place = random.choice(places)
        other = random.choice(places)[0]
        new = random.choice(["", "0", "7", "100000", other, f"{place[0]} {place[0]}"])
        changed = text[: place.start()] + new + text[place.end() :]
        try:
            net = upgrade_net(parse(changed, caffe_pb2.NetParameter))
            net.state.phase = caffe_pb2.TEST
            caffelite.Net.from_param(net)
        except CaffeliteError as problem:
            broken += 1
            assert lint_text(changed), f"{problem}: {changed}"
    assert broken > 50


def test_lint_leaves_no_trace_in_the_log(caplog):
    lint_text(TEXTS["options that do nothing"])
    assert not caplog.records


# The command


def test_the_command_prints_findings_and_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("bad.prototxt").write_text('layer { name: "x" bottom: "data" top: "y" }')
    Path("good.prototxt").write_text(SOLVER)
    assert main(["lint", "good.prototxt", "bad.prototxt"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == 'bad.prototxt:1: layer "x": has no type [unknown-type]'
    assert main(["lint", "bad.prototxt", "--ignore=unknown-type,unknown-bottom"]) == 0
    assert capsys.readouterr().out == "bad.prototxt: no mistakes found\n"
    assert main(["lint", "good.prototxt", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["lint", "bad.prototxt", "--json"]) == 1
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["file"], first["line"], first["layer"]) == ("bad.prototxt", 1, "x")


def test_advice_leaves_the_exit_code_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("policy.prototxt").write_text(SOLVER + "gamma: 0.1")
    assert main(["lint", "policy.prototxt"]) == 0
    line, *notes = capsys.readouterr().out.splitlines()
    assert all(": note: " in note for note in notes)
    assert line.startswith("policy.prototxt:7: advice: ") and line.endswith(" [unread-option]")
    assert main(["lint", "policy.prototxt", "--strict"]) == 1
    capsys.readouterr()
    assert main(["lint", "policy.prototxt", "--json"]) == 0
    assert [finding["advice"] for finding in json.loads(capsys.readouterr().out)] == [True]


def test_files_that_are_named_and_not_there_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("nets").mkdir()
    Path("nets/here.txt").touch()
    Path("nets/net.prototxt").write_text(
        """layer { name: "data" type: "ImageData" top: "x" top: "t" include { phase: TRAIN }
        image_data_param { source: "here.txt" } transform_param { mean_file: "mean.binaryproto" } }
        layer { name: "data" type: "ImageData" top: "x" top: "t" include { phase: TEST }
        image_data_param { source: "nets/here.txt" } }
        layer { name: "user" type: "Python" bottom: "x" top: "y"
        python_param { module: "mine" layer: "Mine" } }
        layer { name: "out" type: "Silence" bottom: "y" bottom: "t" }"""
    )
    Path("solver.prototxt").write_text('net: "net.prototxt" base_lr: 1 lr_policy: "fixed"')
    main(["lint", "nets/net.prototxt", "solver.prototxt"])
    notes = [line for line in capsys.readouterr().out.splitlines() if ": note: " in line]
    assert notes == [
        'nets/net.prototxt:1: layer "data" (ImageData): note: mean_file "mean.binaryproto" is not '
        "there; paths start where the command runs",
        'nets/net.prototxt:1: layer "data" (ImageData): note: source "here.txt" is not there; it '
        "is from nets on, where the command would have to run",
        'solver.prototxt: note: net "net.prototxt" is not there; paths start where the command '
        "runs",
    ]


def test_a_file_that_is_no_text_is_a_mistake(tmp_path, capsys):
    (tmp_path / "x.caffemodel").write_bytes(b"\x0a\x03\0abc")
    assert main(["lint", str(tmp_path / "x.caffemodel")]) == 1
    assert "binary" in capsys.readouterr().err
    assert main(["lint", str(tmp_path / "missing.prototxt")]) == 1
    assert "no such file" in capsys.readouterr().err


def test_the_rules_are_listed(capsys):
    assert main(["lint", "--rules"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(descriptions())
    assert main(["lint", "--ignore=unused-tops", "x"]) == 2
    assert 'did you mean "unused-top"?' in capsys.readouterr().err
    assert main(["lint"]) == 2


@pytest.mark.parametrize("bottom", ["d", "none{}"])
def test_lint_is_linear_in_layers(bottom):
    """2,500 readers of one blob took 14 s, as many unknown bottoms two minutes."""
    layers = (
        f'layer {{ name: "r{k}" type: "ReLU" bottom: "{bottom.format(k)}" top: "r{k}" }}\n'
        for k in range(1500)
    )
    text = 'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 } } }\n'
    begun = time.process_time()
    assert len(lint_text(text + "".join(layers))) >= 1499
    assert time.process_time() - begun < 6


def test_passes_of_different_lengths_side_by_side(tmp_path, capsys, monkeypatch):
    """Six records beside two, three for one, and beside four."""
    monkeypatch.chdir(tmp_path)
    for count in (2, 4, 6):
        pixels = np.zeros((count, 1, 2, 2), np.uint8)
        write_database(f"of_{count}", ArraySource(pixels, np.zeros(count)))
    layer = (
        'layer {{ name: "{0}" type: "Data" top: "{0}" include {{ phase: {1} }} '
        'data_param {{ source: "of_{2}" batch_size: {3} backend: LMDB }} }}\n'
    )
    layers = [layer.format(*one) for one in (("a", "TRAIN", 2, 1), ("b", "TRAIN", 6, 3))]
    other = layer.format("c", "TEST", 4, 3)
    Path("net.prototxt").write_text("".join([*layers, other]))
    main(["lint", "net.prototxt"])
    assert "note: a pass" not in capsys.readouterr().out
    Path("net.prototxt").write_text("".join([*layers, other.replace("TEST", "TRAIN")]))
    main(["lint", "net.prototxt"])
    out = capsys.readouterr().out
    assert (
        'net.prototxt:3: layer "c" (Data): note: a pass is 4 records in batches of 3, but that of '
        '"a", for the same states, 2 in batches of 1: what belongs together' in out
    )
    assert out.count("note: a pass") == 1
