"""Time what detectors do beside what there is to hold it against.

    python tools/benchmark.py --detection
    python tools/benchmark_detection.py --parts output nms

The parts, each on one core:

- output: DetectionOutput of SSD300, 8,732 priors of 21 classes, in milliseconds
- nms: greedy suppression of so many boxes, beside torchvision's
- augment: SSD's whole recipe on a 500 x 375 JPEG, from the database to a blob, in milliseconds
- feed: what feeds ssd-digits beside its training step, in milliseconds a picture
- step: a training step of SSD300 (4 pictures), forward and backward, beside the same net in PyTorch
- regions: pooling of 300 boxes of 100 to 400 pixels a side, over 512 maps, beside torchvision's
- proposal: Proposal on 21,600 anchors, 6,000 of which are suppressed to 300
- two-stages: a training step of Faster R-CNN-VGG16 at 600 x 1000, beside the same net in PyTorch
  with torchvision's operators; it takes a minute and 4 GB, and is left out unless asked for

Figures are medians of the processor's time, which other processes on the machine do not change. A
ratio is the other's time divided by caffelite's, or, of `feed`, that of a step divided by that of
feeding it.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

import caffelite  # noqa: E402
from caffelite.data.lmdb import LmdbWriter  # noqa: E402
from caffelite.kernels.boxes import nms  # noqa: E402
from caffelite.proto import caffe_pb2  # noqa: E402
from caffelite.proto.text import read_net  # noqa: E402
from caffelite.testing import make_layer  # noqa: E402
from tools.benchmark_machine import set_threads  # noqa: E402
from tools.benchmark_nets import in_memory  # noqa: E402
from tools.benchmark_sides import Caffelite, PyTorch  # noqa: E402

PRIORS, CLASSES = 8732, 21
OUTPUT = f"""detection_output_param {{
  num_classes: {CLASSES} share_location: true background_label_id: 0 code_type: CENTER_SIZE
  nms_param {{ nms_threshold: 0.45 top_k: 400 }} keep_top_k: 200 confidence_threshold: 0.01
}}"""
COUNTS = (400, 2000, PRIORS)  # of boxes, for nms
CROP = """batch_sampler {{
  sampler {{ min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }}
  sample_constraint {{ {} }} max_sample: 1 max_trials: 50
}}"""
OVERLAPS = [f"min_jaccard_overlap: {overlap}" for overlap in (0.1, 0.3, 0.5, 0.7, 0.9)]
CROPS = "\n".join(CROP.format(overlap) for overlap in (*OVERLAPS, "max_jaccard_overlap: 1"))
RECIPE = f"""
transform_param {{
  mirror: true mean_value: [104, 117, 123]
  resize_param {{ prob: 1 resize_mode: WARP height: 300 width: 300
    interp_mode: [LINEAR, AREA, NEAREST, CUBIC, LANCZOS4] }}
  emit_constraint {{ emit_type: CENTER }}
  distort_param {{
    brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5
    contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5
    saturation_upper: 1.5 random_order_prob: 0
  }}
  expand_param {{ prob: 0.5 max_expand_ratio: 4 }}
}}
annotated_data_param {{ batch_sampler {{ max_sample: 1 max_trials: 1 }} {CROPS} }}
"""
BATCH = 4  # of SSD300


def medians(functions, times):
    """[the median of the ms that each takes], all of them in turn."""
    took = [[] for _ in functions]
    for repeat in range(-1, times):
        for times_of, function in zip(took, functions, strict=True):
            ms = milliseconds(function)
            if repeat >= 0:
                times_of.append(ms)
    return [statistics.median(ms) for ms in took]


def milliseconds(function):
    """What it takes of the processor, in all threads."""
    start = time.process_time()
    function()
    return (time.process_time() - start) * 1e3


# What is measured: a function of args for each part, which yields (what, ms, ms of the other)


def output(args):
    random = np.random.default_rng(0)
    scores = random.normal(0, 1.5, (1, PRIORS, CLASSES))
    scores[..., 0] += 6  # mostly background, as in a picture
    scores = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    centers, sides = random.random((PRIORS, 2)), random.uniform(0.05, 0.5, (PRIORS, 2))
    boxes = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)
    priors = np.stack([boxes.ravel(), np.tile([0.1, 0.1, 0.2, 0.2], PRIORS)])[None]
    bottoms = random.normal(0, 0.5, (1, 4 * PRIORS)), scores.reshape(1, -1), priors
    layer, bottom, top = make_layer("DetectionOutput", [b.shape for b in bottoms], OUTPUT)
    for blob, values in zip(bottom, bottoms, strict=True):
        blob.data[...] = values
    (ms,) = medians([lambda: layer.forward(bottom, top)], args.repeats)
    above = int((scores[..., 1:] > 0.01).sum())
    yield f"DetectionOutput, {above:,} scores above 0.01", ms, None


def suppression(args):
    import torch
    from torchvision.ops import nms as theirs

    random = np.random.default_rng(0)
    for count in COUNTS:
        centers, sides = random.random((count, 2)), random.uniform(0.05, 0.5, (count, 2))
        boxes = np.concatenate([centers - sides / 2, centers + sides / 2], 1).astype(np.float32)
        scores = random.random(count, np.float32)
        tensors = torch.from_numpy(boxes), torch.from_numpy(scores)
        kept = nms(boxes, scores, 0.45)
        assert kept.tolist() == theirs(*tensors, 0.45).tolist()
        ms = medians(
            [lambda b=boxes, s=scores: nms(b, s, 0.45), lambda t=tensors: theirs(*t, 0.45)],
            10 * args.repeats,
        )
        yield f"nms, {count:,} boxes, {len(kept)} kept", *ms


def augment(args):
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(f"{folder}/lmdb", 64)
        layer = caffe_pb2.LayerParameter(name="data", type="AnnotatedData", top=["data", "label"])
        text_format.Parse(RECIPE, layer)
        layer.data_param.source, layer.data_param.batch_size = f"{folder}/lmdb", 8
        layer.data_param.backend = caffe_pb2.DataParameter.LMDB
        yield "SSD's augmentation of a 500 x 375 JPEG", loading(layer, 8 * args.repeats), None


def write_pictures(path, count):
    """A database of JPEGs of 500 x 375 with large and small shapes, two boxes in each."""
    random = np.random.default_rng(0)
    with LmdbWriter(path) as database:
        for i in range(count):
            pixels = np.zeros((375, 500, 3))
            for size in (4, 16, 64, 250):
                coarse = Image.fromarray(random.integers(0, 256, (size, size, 3), np.uint8))
                coarse = coarse.resize((500, 375), Image.Resampling.BICUBIC)
                pixels += np.asarray(coarse, float) / size**0.7
            file = io.BytesIO()
            pixels *= 255 / pixels.max()
            Image.fromarray(pixels.astype(np.uint8)).save(file, "jpeg", quality=90)
            datum = caffe_pb2.AnnotatedDatum(type=caffe_pb2.AnnotatedDatum.BBOX)
            datum.datum.data, datum.datum.encoded = file.getvalue(), True
            for label in (1, 2):
                low, sides = random.uniform(0, 0.5, 2), random.uniform(0.1, 0.5, 2)
                box = dict(zip(("xmin", "ymin"), low, strict=True))
                box |= dict(zip(("xmax", "ymax"), low + sides, strict=True))
                group = datum.annotation_group.add(group_label=label)
                group.annotation.add(bbox=caffe_pb2.NormalizedBBox(**box))
            database.put(b"%08d" % i, datum.SerializeToString())


def loading(layer, batches):
    """Milliseconds a picture of the thread that reads ahead, alone."""
    net = caffelite.Net(caffe_pb2.NetParameter(layer=[layer]), caffelite.TRAIN)
    for _ in range(8):
        net.forward()
    batch = layer.data_param.batch_size
    return milliseconds(lambda: [net.forward() for _ in range(batches)]) / batches / batch


def feed(args):
    from caffelite.data.datum import write_database
    from caffelite.data.made import maker

    param = read_net(ROOT / "models" / "ssd-digits" / "train_val.prototxt")
    source = param.layer[0]
    with tempfile.TemporaryDirectory() as folder:
        made = maker("digit-scenes")
        options = {name: option.default for name, option in made.OPTIONS.items()}
        scenes = made.parts(**{**options, "count": 256})["train"]
        write_database(f"{folder}/lmdb", scenes)
        source.data_param.source = f"{folder}/lmdb"
        source.annotated_data_param.ClearField("label_map_file")
        ms = loading(source, 2 * args.repeats)
        net = caffelite.Net(param, caffelite.TRAIN)
        net.forward()
        first, last = 1, len(net.nodes) - 1

        def step():
            net._forward(first, last)
            net.clear_param_diffs()
            net._backward(last, first)

        (took,) = medians([step], args.repeats)
        yield "feeding ssd-digits, its step", ms, took / source.data_param.batch_size


def step(args):
    param = in_memory("ssd300", caffe_pb2.TRAIN, BATCH)
    ours = Caffelite(param, update=False)
    theirs = PyTorch(param, False, ours.values())
    ms = medians(
        [lambda side=side: (side.forward(), side.backward()) for side in (ours, theirs)],
        args.repeats,
    )
    losses = float(ours.net.blobs["mbox_loss"].data), theirs.loss.item()
    assert np.isclose(*losses, rtol=1e-3), losses
    yield f"training step of SSD300, {BATCH} pictures", *ms


SIDE, STRIDE = (38, 63), 16  # a map of 600 x 1000 pixels
POOLINGS = {  # what is pooled: a type, its options, torchvision's function
    "ROIPooling": (
        "roi_pooling_param { pooled_h: 7 pooled_w: 7 spatial_scale: 0.0625 }",
        lambda ops, x, rois: ops.roi_pool(x, rois, (7, 7), 1 / STRIDE),
    ),
    "ROIAlign": (
        "roi_align_param { pooled_h: 7 pooled_w: 7 spatial_scale: 0.0625 sampling_ratio: 2 }",
        lambda ops, x, rois: ops.roi_align(x, rois, (7, 7), 1 / STRIDE, 2),
    ),
    "PSROIPooling": (
        "psroi_pooling_param { output_dim: 21 group_size: 7 spatial_scale: 0.0625 }",
        lambda ops, x, rois: ops.ps_roi_pool(x, rois, 7, 1 / STRIDE),
    ),
}


def regions(args):
    random = np.random.default_rng(0)
    sides = random.uniform(100, 400, (300, 2))
    low = random.random((300, 2)) * (np.array([1000, 600]) - sides)
    rois = np.insert(np.hstack([low, low + sides]), 0, 0, axis=1).astype(np.float32)
    for type in POOLINGS:
        maps = 21 * 7 * 7 if type == "PSROIPooling" else 512
        x = random.standard_normal((1, maps, *SIDE), np.float32)
        forward, backward = pooling(type, x, rois, random)
        yield f"{type}, 300 boxes, {maps} maps, forward", *medians(forward, args.repeats)
        yield f"{type}, 300 boxes, {maps} maps, backward", *medians(backward, args.repeats)


def pooling(type, x, rois, random):
    """[ours, torchvision's] forward, and backward."""
    import torch
    from torchvision import ops

    options, theirs = POOLINGS[type]
    layer, bottom, top = make_layer(type, [x, rois], options, dtype=np.float32)
    top[0].diff[...] = random.standard_normal(top[0].shape, np.float32)
    given, places = torch.from_numpy(x.copy()).requires_grad_(), torch.from_numpy(rois)
    made, diff = theirs(ops, given, places), torch.from_numpy(top[0].diff.copy())
    return [
        [lambda: layer.forward(bottom, top), lambda: theirs(ops, given, places)],
        [
            lambda: layer.backward(top, [True, False], bottom),
            lambda: made.backward(diff, retain_graph=True),
        ],
    ]


def proposal(args):
    random = np.random.default_rng(0)
    scores = random.random((1, 18, 40, 60), np.float32)
    codes = random.normal(0, 0.3, (1, 36, 40, 60)).astype(np.float32)
    sizes = np.float32([[640, 960, 1]])
    layer, bottom, top = make_layer(
        "Proposal", [scores, codes, sizes], "proposal_param { }", dtype=np.float32
    )
    (ms,) = medians([lambda: layer.forward(bottom, top)], args.repeats)
    yield "Proposal, 21,600 anchors, 6,000 to 300", ms, None


def two_stages(args):
    import tools.torch_two_stages  # noqa: F401 (its layers are translated)

    param = in_memory("faster-rcnn-vgg16", caffe_pb2.TRAIN, 1)
    ours = Caffelite(param, update=False)
    theirs = PyTorch(param, False, ours.values())
    sides = ours, theirs
    ms = medians([lambda side=side: (side.forward(), side.backward()) for side in sides], 1)
    yield "training step of Faster R-CNN-VGG16, 600 x 1000", *ms


PARTS = {
    "output": output,
    "nms": suppression,
    "augment": augment,
    "feed": feed,
    "step": step,
    "regions": regions,
    "proposal": proposal,
    "two-stages": two_stages,
}
LONG = {"two-stages"}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=[part for part in PARTS if part not in LONG],
        metavar="PART",
    )
    flag("--repeats", type=int, default=7, help="of what is measured [7]")
    args = parser.parse_args(argv)
    set_threads(1)
    print(f"{'':<48}{'caffelite, ms':>14}{'other, ms':>12}{'ratio':>8}")
    results = {}
    for part in args.parts:
        for what, ms, other in PARTS[part](args):
            results[what] = ms, other
            beside = "" if other is None else f"{other:12.2f}{other / ms:8.2f}"
            print(f"{what:<48}{ms:14.2f}{beside}", flush=True)
    return results


if __name__ == "__main__":
    main()
