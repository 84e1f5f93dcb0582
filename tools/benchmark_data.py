"""Time what a Data layer feeds beside what AlexNet consumes.

    python tools/benchmark_data.py
    python tools/benchmark_data.py --pictures 64 --steps 5 --transforms plain inception

Makes an LMDB of encoded 256 x 256 JPEGs, and times, in turn and with all threads: training steps
(forward and backward) of AlexNet on pictures in memory, loading alone for each transform, and
training steps on what is loaded. Figures are in pictures a second; those of steps are medians.
"""

import argparse
import io
import json
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
from caffelite.proto import caffe_pb2  # noqa: E402
from tools.benchmark_nets import in_memory  # noqa: E402
from tools.benchmark_sides import Caffelite  # noqa: E402

BATCH = 16
JITTER = """distort_param {
  brightness_prob: 0.5 brightness_delta: 32
  contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5
  saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5
  hue_prob: 0.5 hue_delta: 18
}"""
TRANSFORMS = {
    "plain": "crop_size: 224",
    "caffe": "crop_size: 224 mirror: true mean_value: 104 mean_value: 117 mean_value: 123",
    "vgg": "crop_size: 224 mirror: true random_resize_param { min_size: 256 max_size: 320 }",
    "inception": "crop_size: 224 mirror: true random_aspect_ratio_param { min_area_ratio: 0.08 "
    f"aspect_ratio_change: 0.866 }} {JITTER}",
    "all": "crop_size: 224 mirror: true random_resize_param { min_size: 256 max_size: 320 } "
    f"{JITTER} warp_param {{ rotation: 10 shear: 5 shift: 0.1 local: 100 local_sigma: 8 }} "
    'lighting_param { pca_file: "PCA" } noise_std: 2 mirror_vertical: true',
}


def picture(random):
    """A 256 x 256 JPEG with large and small shapes, as large a file as one of a photograph."""
    pixels = np.zeros((256, 256, 3))
    for size in (4, 16, 64, 256):
        coarse = Image.fromarray(random.integers(0, 256, (size, size, 3), np.uint8))
        pixels += np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC), float) / size**0.7
    pixels *= 255 / pixels.max()
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "jpeg", quality=90)
    return file.getvalue()


def write_pictures(path, count):
    random, sizes = np.random.default_rng(0), []
    with LmdbWriter(path) as database:
        for i in range(count):
            data = picture(random)
            sizes.append(len(data))
            datum = caffe_pb2.Datum(data=data, label=i % 1000, encoded=True)
            database.put(b"%08d" % i, datum.SerializeToString())
    return statistics.mean(sizes)


def data_layer(path, transform):
    layer = caffe_pb2.LayerParameter(name="data", type="Data", top=["data", "label"])
    layer.data_param.source, layer.data_param.batch_size = str(path), BATCH
    layer.data_param.backend = caffe_pb2.DataParameter.LMDB
    text_format.Parse(transform, layer.transform_param)
    return layer


def alexnet(source=None):
    """A training step of AlexNet, on pictures from a data layer, or in memory."""
    param = in_memory("alexnet", caffe_pb2.TRAIN, BATCH)
    if source is not None:
        (feed,) = (layer for layer in param.layer if layer.type == "Input")
        feed.CopyFrom(source)
    side = Caffelite(param, update=False)

    def step():
        side.forward()
        side.backward()

    return step


def rate(function, times):
    """Pictures a second, the median of `times` batches."""
    function()  # compiles, and starts the thread
    took = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        took.append(time.perf_counter() - start)
    return BATCH / statistics.median(took)


def loading(path, transform, times):
    """Pictures a second of the thread that prefetches, alone."""
    param = caffe_pb2.NetParameter(layer=[data_layer(path, transform)])
    net = caffelite.Net(param, caffelite.TRAIN)
    for _ in range(8):
        net.forward()
    start = time.perf_counter()
    for _ in range(times):
        net.forward()
    return times * BATCH / (time.perf_counter() - start)


def measure(folder, args):
    """Yield (what, pictures a second)."""
    path, pca = folder / "lmdb", folder / "statistics.json"
    pca.write_text(json.dumps({"eigenvalues": [4000, 300, 80], "eigenvectors": np.eye(3).tolist()}))
    size = write_pictures(path, args.pictures)
    print(f"{args.pictures} JPEGs of 256 x 256, {size:.0f} bytes each", flush=True)
    transforms = {name: TRANSFORMS[name].replace("PCA", str(pca)) for name in args.transforms}
    step = alexnet()
    yield "AlexNet consumes", rate(step, args.steps)
    for name, transform in transforms.items():
        yield f"loads: {name}", loading(path, transform, 4 * args.steps)
    yield "AlexNet consumes, again", rate(step, args.steps)
    for name, transform in transforms.items():
        source = data_layer(path, transform.replace("224", "227"))
        yield f"AlexNet trains on: {name}", rate(alexnet(source), args.steps)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("--pictures", type=int, default=512, help="how many to make [512]")
    flag("--steps", type=int, default=10, help="training steps to measure [10]")
    flag("--transforms", nargs="+", choices=TRANSFORMS, default=list(TRANSFORMS), metavar="NAME")
    args = parser.parse_args(argv)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for what, figure in measure(Path(folder), args):
            results[what] = figure
            times = figure / results["AlexNet consumes"]
            print(f"{what:<34}{figure:8.1f} pictures/s{times:8.2f} x", flush=True)
    return results


if __name__ == "__main__":
    main()
