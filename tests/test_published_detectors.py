"""Words and forms of published detectors' prototxts: nets that have them build, without their data.

The texts are small ones of our own. What each is like: SSD's branch, MobileNet-SSD, OpenCV's face
detector, MobileNet-YOLO, Intel's Caffe, and the two Caffes of the first and second YOLO.
"""

from pathlib import Path

import pytest

from caffelite.cli import main

PIXELS = """mirror: true mean_value: 104 mean_value: 117 mean_value: 123
  resize_param { prob: 1 resize_mode: WARP height: 64 width: 64 interp_mode: LINEAR
    interp_mode: AREA interp_mode: NEAREST interp_mode: CUBIC interp_mode: LANCZOS4 }
  emit_constraint { emit_type: CENTER }
  distort_param { brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5
    contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5
    saturation_upper: 1.5 random_order_prob: 0.0 }
  expand_param { prob: 0.5 max_expand_ratio: 4.0 }"""
CROPS = """batch_sampler { max_sample: 1 max_trials: 1 }
  batch_sampler { sampler { min_scale: 0.3 max_scale: 1.0 min_aspect_ratio: 0.5
      max_aspect_ratio: 2.0 } sample_constraint { min_jaccard_overlap: 0.1 }
    max_sample: 1 max_trials: 50 }
  batch_sampler { sampler { min_scale: 0.3 max_scale: 1.0 } sample_constraint {
      max_jaccard_overlap: 1.0 } max_sample: 1 max_trials: 50 }"""


def data(phase="TRAIN", transform=PIXELS, options=CROPS, type="AnnotatedData", more=""):
    return f"""
layer {{ name: "data" type: "{type}" top: "data" top: "label" include {{ phase: {phase} }}
  transform_param {{ {transform} }}
  data_param {{ source: "some_lmdb/" batch_size: 4 backend: LMDB {more} }}
  {f'annotated_data_param {{ {options} label_map_file: "labelmap.prototxt" }}' if options else ""}
}}"""


def conv(name, bottom, width, size=3, more="", type="Convolution", top=None):
    pad = "pad: 1" if size == 3 else ""
    return f"""
layer {{ name: "{name}" type: "{type}" bottom: "{bottom}" top: "{top or name}"
  param {{ lr_mult: 1.0 decay_mult: 1.0 }}
  convolution_param {{ num_output: {width} kernel_size: {size} {pad} {more}
    weight_filler {{ type: "msra" }} }} }}"""


def ssd_head(source, size, more="", loc="", conf=""):
    name, kept = source.replace("/", "_"), "permute_param { order: 0 order: 2 order: 3 order: 1 }"
    texts = [
        f"""
layer {{ name: "{name}_mbox_{kind}_perm" type: "Permute" bottom: "{name}_mbox_{kind}"
  top: "{name}_mbox_{kind}_perm" {kept} }}
layer {{ name: "{name}_mbox_{kind}_flat" type: "Flatten" bottom: "{name}_mbox_{kind}_perm"
  top: "{name}_mbox_{kind}_flat" flatten_param {{ axis: 1 }} }}"""
        for kind in ("loc", "conf")
    ]
    return (
        conv(f"{name}_mbox_loc{loc}", source, 16, 1, top=f"{name}_mbox_loc")
        + conv(f"{name}_mbox_conf{conf}", source, 12, 1, top=f"{name}_mbox_conf")
        + "".join(texts)
        + f"""
layer {{ name: "{name}_mbox_priorbox" type: "PriorBox" bottom: "{source}" bottom: "data"
  top: "{name}_mbox_priorbox" prior_box_param {{ min_size: {size} max_size: {2 * size}
    aspect_ratio: 2 flip: true clip: false variance: 0.1 variance: 0.1 variance: 0.2
    variance: 0.2 offset: 0.5 {more} }} }}
layer {{ name: "mbox_conf_reshape" type: "Reshape" bottom: "{name}_mbox_conf_flat"
  top: "mbox_conf_reshape" reshape_param {{ shape {{ dim: 0 dim: -1 dim: 3 }} }} }}
layer {{ name: "mbox_conf_softmax" type: "Softmax" bottom: "mbox_conf_reshape"
  top: "mbox_conf_softmax" softmax_param {{ axis: 2 }} }}
layer {{ name: "mbox_conf_flatten" type: "Flatten" bottom: "mbox_conf_softmax"
  top: "mbox_conf_flatten" flatten_param {{ axis: 1 }} }}"""
    )


def ssd_loss(name, more=""):
    return f"""
layer {{ name: "mbox_loss" type: "MultiBoxLoss" bottom: "{name}_mbox_loc_flat"
  bottom: "{name}_mbox_conf_flat" bottom: "{name}_mbox_priorbox" bottom: "label" top: "mbox_loss"
  include {{ phase: TRAIN }} propagate_down: true propagate_down: true propagate_down: false
  propagate_down: false loss_param {{ normalization: VALID }}
  multibox_loss_param {{ loc_loss_type: SMOOTH_L1 conf_loss_type: SOFTMAX loc_weight: 1.0
    num_classes: 3 share_location: true match_type: PER_PREDICTION overlap_threshold: 0.5
    use_prior_for_matching: true background_label_id: 0 use_difficult_gt: true neg_pos_ratio: 3.0
    neg_overlap: 0.5 code_type: CENTER_SIZE ignore_cross_boundary_bbox: false {more} }} }}"""


def ssd_output(name, more="", rule="include { phase: TEST }"):
    return f"""
layer {{ name: "detection_out" type: "DetectionOutput" bottom: "{name}_mbox_loc_flat"
  bottom: "mbox_conf_flatten" bottom: "{name}_mbox_priorbox" top: "detection_out" {rule}
  detection_output_param {{ num_classes: 3 share_location: true background_label_id: 0
    nms_param {{ nms_threshold: 0.45 top_k: 400 }} code_type: CENTER_SIZE keep_top_k: 200
    confidence_threshold: 0.01 {more} }} }}"""


EVALUATED = """
layer { name: "detection_eval" type: "DetectionEvaluate" bottom: "detection_out" bottom: "label"
  top: "detection_eval" include { phase: TEST } detection_evaluate_param { num_classes: 3
    background_label_id: 0 overlap_threshold: 0.5 evaluate_difficult_gt: false MORE } }"""
TESTED = "mean_value: 104 mean_value: 117 mean_value: 123 resize_param { prob: 1.0 " + (
    "resize_mode: WARP height: 64 width: 64 interp_mode: LINEAR }"
)
INPUT = 'name: "net" input: "data" input_shape { dim: 1 dim: 3 dim: 64 dim: 64 }'
NORMALIZED = """
layer { name: "conv4_norm" type: "Normalize" bottom: "conv4" top: "conv4_norm" norm_param {
  across_spatial: false scale_filler { type: "constant" value: 20 } channel_shared: false } }"""
FIVE = "yolo_data_type: 1 yolo_data_jitter: 0.3"
SIZES = "".join(
    f"resize_param {{ prob: 0.2 resize_mode: WARP height: {n} width: {n} interp_mode: LINEAR }}"
    for n in (64, 96, 32)
)
ANCHORS = " ".join(f"biases: {n}" for n in (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119))
REGION = """side: 8 num_class: 20 coords: 4 num: 5 softmax: 1 jitter: 0.2 rescore: 1
    object_scale: 5.0 noobject_scale: 1.0 class_scale: 1.0 coord_scale: 1.0 absolute: 1
    thresh: 0.6 random: 0 """ + " ".join(
    f"biases: {n}" for n in (1.08, 1.19, 3.42, 4.41, 6.63, 11.38, 9.42, 5.11, 16.62, 10.52)
)
REGION_BIASES = REGION[REGION.index("biases") :]
DOWN = 'layer { name: "p" type: "Pooling" bottom: "conv4" top: "conv5" pooling_param { ' + (
    "pool: MAX kernel_size: 8 stride: 8 } }"
)
SAVED = """save_output_param { output_directory: "" output_name_prefix: "comp4_det_test_"
      output_format: "VOC" label_map_file: "labelmap.prototxt" name_size_file: "sizes.txt"
      num_test_image: 4952 }"""

BUILD = {  # name: (phase, text)
    "SSD trains": (
        "TRAIN",
        data() + conv("conv4", "data", 8) + NORMALIZED + ssd_head("conv4_norm", 30, "step: 1")
        + ssd_loss("conv4_norm", "mining_type: MAX_NEGATIVE"),
    ),
    "SSD is tested": (
        "TEST",
        data("TEST", TESTED, "batch_sampler { }") + conv("conv4", "data", 8) + NORMALIZED
        + ssd_head("conv4_norm", 30, "step: 1") + ssd_output("conv4_norm", SAVED)
        + EVALUATED.replace("MORE", 'name_size_file: "sizes.txt"'),
    ),
    "SSD before mining_type": (
        "TRAIN",
        data() + conv("conv4", "data", 8) + ssd_head("conv4", 30)
        + ssd_loss("conv4", "do_neg_mining: true"),
    ),
    "MobileNet-SSD trains": (
        "TRAIN",
        data(transform="scale: 0.007843 " + PIXELS)
        + conv("conv0", "data", 8, more="bias_term: false stride: 2")
        + conv("conv1/dw", "conv0", 8, more="bias_term: false group: 8 engine: CAFFE")
        + ssd_head("conv1/dw", 30, conf="_new") + ssd_loss("conv1_dw"),
    ),
    "OpenCV's face detector": (
        "TEST",
        INPUT + conv("conv4", "data", 8).replace('"msra"', '"msra" variance_norm: FAN_OUT')
        + NORMALIZED + ssd_head("conv4_norm", 30, "step: 1") + ssd_output("conv4_norm", "clip: 1"),
    ),
    "Intel's SSD of gray pictures": (
        "TRAIN",
        data(transform=PIXELS.replace("mean_value: 104 mean_value: 117 mean_value: 123",
                                      "mean_value: 128")).replace("DATA", "")
        + conv("conv4", "data", 8) + ssd_head("conv4", 30) + ssd_loss("conv4"),
    ),
    "MobileNet-YOLO's v2 trains": (
        "TRAIN",
        data(options=FIVE) + conv("conv4", "data", 125, more="bias_term: false") + DOWN
        + f"""
layer {{ name: "bn" type: "BatchNorm" bottom: "conv5" top: "conv5" param {{ lr_mult: 0
  decay_mult: 0 }} param {{ lr_mult: 0 }} param {{ lr_mult: 0 }} }}
layer {{ name: "Region_Loss" type: "RegionLoss" bottom: "conv5" bottom: "label" top: "det_loss"
  loss_weight: 1 region_loss_param {{ {REGION} }} }}""",
    ),
    "MobileNet-YOLO's v2 detects": (
        "TEST",
        INPUT + conv("conv4", "data", 125) + DOWN + f"""
layer {{ name: "detection_out" type: "YoloDetectionOutput" bottom: "conv5" top: "detection_out"
  include {{ phase: TEST }} yolo_detection_output_param {{ num_classes: 20 coords: 4
    confidence_threshold: 0.01 nms_threshold: 0.45 {REGION_BIASES}
    label_map_file: "labelmap.prototxt" }} }}""",
    ),
    "MobileNet-YOLO's v3 trains at several sizes": (
        "TRAIN",
        data(transform="scale: 0.0039215 force_color: true " + SIZES, options=FIVE)
        + conv("conv4", "data", 75) + DOWN + f"""
layer {{ bottom: "conv5" type: "Concat" top: "layer17-yolo" name: "layer17-yolo" }}
layer {{ bottom: "conv5" top: "up" name: "up" type: "Deconvolution" convolution_param {{ stride: 2
  kernel_size: 4 num_output: 75 group: 75 pad: 1 bias_term: false
  weight_filler {{ type: "bilinear" }} }} }}
layer {{ name: "Yolov3Loss1" type: "Yolov3" bottom: "layer17-yolo" bottom: "label"
  top: "det_loss1" loss_weight: 1 yolov3_param {{ side: 8 num_class: 20 num: 3 object_scale: 5.0
    noobject_scale: 1.0 class_scale: 1.0 coord_scale: 1.0 thresh: 0.7 anchors_scale: 8 {ANCHORS}
    mask: 3 mask: 4 mask: 5 use_logic_gradient: false use_focal_loss: false iou_loss: GIOU
    iou_normalizer: 0.25 iou_thresh: 0.213 }} }}
layer {{ name: "Yolov3Loss2" type: "Yolov3" bottom: "up" bottom: "label" top: "det_loss2"
  loss_weight: 1 yolov3_param {{ side: 16 num_class: 20 num: 3 thresh: 0.7 anchors_scale: 4
    {ANCHORS} mask: 0 mask: 1 mask: 2 }} }}""",
    ),
    "MobileNet-YOLO's v3 is tested": (
        "TEST",
        data("TEST", TESTED, "batch_sampler { }") + conv("conv4", "data", 75)
        + DOWN + f"""
layer {{ name: "detection_out" type: "Yolov3DetectionOutput" bottom: "conv5" bottom: "conv4"
  top: "detection_out" include {{ phase: TEST }} yolov3_detection_output_param {{
    confidence_threshold: 0.01 nms_threshold: 0.45 num_classes: 20 {ANCHORS} mask: 3 mask: 4
    mask: 5 mask: 0 mask: 1 mask: 2 mask_group_num: 2 anchors_scale: 8 anchors_scale: 1 }} }}"""
        + EVALUATED.replace("num_classes: 3", "num_classes: 21").replace("MORE", ""),
    ),
    "MobileNet-YOLO's squeezed and excited unit": (
        "TEST",
        INPUT + conv("conv1", "data", 16, type="Convolution")
        + conv("conv4", "conv1", 16, type="DepthwiseConvolution", more="group: 16 dilation: 1")
        + """
layer { name: "pool" type: "Pooling" bottom: "conv4" top: "pool" pooling_param { pool: AVE
  global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param {
  num_output: 16 } }
layer { name: "power1" type: "Power" bottom: "fc" top: "power1" power_param { shift: 3.0 } }
layer { name: "relus" type: "ReLU6" bottom: "power1" top: "relus" }
layer { name: "route" type: "Concat" bottom: "relus" top: "route" }
layer { name: "scale" type: "Scale" bottom: "conv4" bottom: "route" top: "scale"
  scale_param { axis: 0 } }""",
    ),
    "Intel's YOLO v2 is tested": (
        "TEST",
        data("TEST", TESTED, "batch_sampler { }") + conv("conv4", "data", 125) + DOWN
        + f"""
layer {{ name: "eval_det" type: "EvalDetection" bottom: "conv5" bottom: "label" top: "eval_det"
  include {{ phase: TEST }} eval_detection_param {{ side: 8 num_class: 20 num_object: 5
    score_type: MULTIPLY nms: 0.5 {REGION_BIASES} }} }}""",
    ),
    "the first YOLO trains": (
        "TRAIN",
        data(type="BoxData", options="", transform="mirror: true force_color: true "
             "mean_value: 104 mean_value: 117 mean_value: 123", more="side: 8")
        + conv("conv4", "data", 30) + DOWN + """
layer { name: "det_loss" type: "DetectionLoss" bottom: "conv5" bottom: "label" top: "det_loss"
  loss_weight: 1 detection_loss_param { side: 8 num_class: 20 num_object: 2 object_scale: 1.0
    noobject_scale: .5 class_scale: 1.0 coord_scale: 5.0 sqrt: true constriant: true } }""",
    ),
    "the first YOLO is tested": (
        "TEST",
        data("TEST", "mirror: false", "", "BoxData", "side: 8") + conv("conv4", "data", 30) + DOWN
        + """
layer { name: "eval_det" type: "EvalDetection" bottom: "conv5" bottom: "label" top: "eval_det"
  include { phase: TEST } eval_detection_param { side: 8 num_class: 20 num_object: 2
    threshold: 0.5 sqrt: true constriant: true } }""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BUILD)
def test_a_net_with_such_words_builds(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    phase, text = BUILD[name]
    Path("net.prototxt").write_text(text)
    shape = [] if text.startswith("name") else ["--data-shape", "3,64,64"]
    assert main(["summary", "net.prototxt", "--phase", phase, *shape]) == 0, capsys.readouterr().err
    assert "is not known" not in capsys.readouterr().err


MISSING = {  # what names the one thing that is missing
    "a webcam": (
        'layer { name: "data" type: "VideoData" top: "data" video_data_param { video_type: WEBCAM '
        "device_id: 0 skip_frames: 0 } }",
        'layer "data": unknown type "VideoData"',
    ),
    "segmentation beside boxes": (
        INPUT + conv("conv4", "data", 8)
        + 'layer { name: "seg" type: "YoloSeg" bottom: "conv4" top: "seg" }',
        'layer "seg": unknown type "YoloSeg"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_named(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text, words = MISSING[name]
    Path("net.prototxt").write_text(text)
    assert main(["summary", "net.prototxt"]) == 1
    assert words in capsys.readouterr().err
