import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from caffelite.testing import TEST, TRAIN, case

GOLDEN = Path(__file__).parents[1] / "golden"
CAFFE, DETECTION = GOLDEN / "caffe", GOLDEN / "detection_data"


def database(name, options="batch_size: 4", backend="backend: LMDB"):
    return f'data_param {{ source: "{CAFFE / "data" / name}" {backend} {options} }}'


def recorded(name):
    arrays = np.load(CAFFE / "data" / f"{name}.npz")
    return [arrays["out/0/data"], arrays["out/0/label"]]


def annotated(options, kind="raw", source="batch_size: 2 backend: LMDB"):
    folder = DETECTION / f"annotated_{kind}_lmdb"
    return f'data_param {{ source: "{folder}" {source} }} {options}'


def listed(options):
    folder = CAFFE / "data"
    return f'image_data_param {{ source: "{folder}/list.txt" root_folder: "{folder}/" {options} }}'


def with_arrays(row, data, labels):
    """Let a MemoryData row's layer have data."""
    build = row.build

    def build_and_set(**how):
        made = build(**how)
        made[0].set_arrays(data, labels)
        return made

    row.build = build_and_set


def with_a_file_each(row):
    """Let each layer of an HDF5Output row write a file of its own: one file has one writer."""
    numbers = itertools.count()

    def build(**how):
        options = row.options.replace("output.h5", f"output{next(numbers)}.h5")
        return replace(row, options=options).build(**how)

    row.build = build


def hdf5(options):
    return f'top: "data" top: "label" hdf5_data_param {{ source: "{hdf5_list}" {options} }}'


_folder = tempfile.TemporaryDirectory()  # a list names files from where the program runs
hdf5_list = Path(_folder.name) / "list.txt"
hdf5_list.write_text(str(CAFFE / "solvers" / "data.h5"))
window_list = Path(_folder.name) / "windows.txt"
window_list.write_text(
    """# 0
images/p0.png 3 36 44
2
5 0.9 3 4 20 30
0 0.2 10 10 40 30
"""
)

pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3), np.uint8)
classes = np.random.default_rng(1).integers(0, 12, (3, 6, 8), np.uint8)
for i in range(3):
    Image.fromarray(pixels[i]).save(f"{_folder.name}/p{i}.png")
    Image.fromarray(classes[i]).save(f"{_folder.name}/l{i}.png")
    Image.fromarray(pixels[i, :, :, 0]).save(f"{_folder.name}/e{i}.png")
Path(_folder.name, "edges.txt").write_text("".join(f"p{i}.png e{i}.png\n" for i in range(3)))
for name, lines in {
    "pairs": "p0.png l0.png\n  p1.png\tl1.png \np2.png l2.png\n\n",
    "single": "p0.png l0.png\np1.png",
    "gap": "p0.png l0.png\n\np1.png l1.png\n",
    "nothing": "\n",
    "unlike": f"p0.png {CAFFE}/data/images/p0.png\n",
}.items():
    (Path(_folder.name) / f"{name}.txt").write_text(
        lines.replace("p0.png", f"{_folder.name}/p0.png", 1) if name == "unlike" else lines
    )


def pairs(options, name="pairs", transform=""):
    root = "" if name == "unlike" else f"{_folder.name}/"
    source = f'source: "{_folder.name}/{name}.txt" root_folder: "{root}"'
    return f"dense_image_data_param {{ {source} {options} }} transform_param {{ {transform} }}"


def segmented(options, transform=""):
    return pairs(f"label_type: PIXEL {options}", transform=transform).replace("dense_", "")


def windows(options, transform="crop_size: 16"):
    source = f'source: "{window_list}" root_folder: "{CAFFE}/data/"'
    return f"window_data_param {{ {source} {options} }} transform_param {{ {transform} }}"


case("Data", [], database("raw_lmdb"), tops=2, golden=recorded("data_raw"))
case("Data", [], database("encoded_lmdb"), tops=2, golden=recorded("data_encoded"))
case(
    "Data",
    [],
    database("raw_lmdb") + "transform_param { crop_size: 27 scale: 0.0078125 }",
    tops=2,
    phase=TEST,
    golden=recorded("data_crop_scale"),
)
case(
    "Data",
    [],
    database("raw_lmdb", "batch_size: 7 prefetch: 1")
    + "transform_param { crop_size: 30 mirror: true }",
    shapes=[(7, 3, 30, 30)],
)
distort = """distort_param { brightness_prob: 0.9 brightness_delta: 20 contrast_prob: 0.9
    contrast_lower: 0.5 contrast_upper: 1.5 saturation_prob: 0.9 saturation_lower: 0.5
    saturation_upper: 1.5 hue_prob: 0.9 hue_delta: 20 random_order_prob: 0.9 }"""
warp = "warp_param { rotation: 9 shear: 5 shift: 0.1 local: 2 pad_mode: CONSTANT pad_value: 9 }"
steps = [
    distort,
    warp,
    """resize_param { height: 20 width: 30 resize_mode: FIT_LARGE_SIZE_AND_PAD pad_value: 9
        interp_mode: AREA }""",
    "random_resize_param { min_size: 20 max_size: 30 resize_param { interp_mode: AREA } }",
    """random_aspect_ratio_param { min_area_ratio: 0.1 max_area_ratio: 0.4 max_attempt: 3
        aspect_ratio_change: 0.7 resize_param { interp_mode: AREA } }""",
    f'lighting_param {{ pca_file: "{_folder.name}/statistics.json" }}',
]
Path(_folder.name, "statistics.json").write_text(
    '{"eigenvalues": [4, 2, 1], "eigenvectors": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}'
)
for step in steps:
    transform = f"transform_param {{ crop_size: 12 {step} }}"
    case("Data", [], database("raw_lmdb") + transform, shapes=[(4, 3, 12, 12)])
    case("ImageData", [], listed("batch_size: 4") + transform, shapes=[(4, 3, 12, 12), (4,)])
for step in (distort, warp, steps[-1]):
    shapes = [(1, 3, 6, 8), (1, 1, 6, 8)]
    case("DenseImageData", [], pairs("", transform=step), shapes=shapes)
    case("ImageSegData", [], segmented("", step), shapes=shapes)
    edges = pairs("", "edges", transform=step).replace("dense_", "")
    case("ImageLabelmapData", [], edges, shapes=shapes)
for more, count in (("ten_crop: true", 10), ("test_size: 20 test_size: 30", 2)):
    transform = f"transform_param {{ crop_size: 12 {more} }}"
    shapes = [(4 * count, 3, 12, 12), (4,)]
    case("Data", [], database("raw_lmdb") + transform, tops=2, phase=TEST, shapes=shapes)
    case("ImageData", [], listed("batch_size: 4") + transform, phase=TEST, shapes=shapes)
case(
    "Data",
    [],
    database("encoded_lmdb") + "transform_param { force_gray: true }",
    shapes=[(4, 1, 32, 40)],
)
case("Data", [], database("raw_lmdb", backend=""), error="write backend: LMDB")
case("Data", [], database("no_such_lmdb"), error="no such directory")
case("Data", [], database("raw_lmdb", ""), error="batch_size")
case("Data", [], database("raw_lmdb", "batch_size: 2 prefetch: 0"), error="prefetch: 0, expected")
case("Data", [], database("raw_lmdb", "batch_size: 2 prefetch: 2000000000"), error="1 to 1000")
case("Data", [], "data_param { batch_size: 2 }", error="source is missing")
case(
    "Data",
    [],
    database("raw_lmdb") + "transform_param { crop_size: 33 }",
    error="too few for crop_size 33",
)

_plain = np.load(DETECTION / "raw_plain.npz")
case(
    "AnnotatedData",
    [],
    annotated("transform_param { mean_value: 104 mean_value: 117 mean_value: 123 }"),
    tops=2,
    golden=[_plain["out/0/data"], _plain["out/0/label"]],
)
case("AnnotatedData", [], annotated(""), tops=1, shapes=[(2, 3, 24, 32)])
_steps = (
    "resize_param { height: 30 width: 40 }",
    "resize_param { height: 30 width: 40 resize_mode: FIT_LARGE_SIZE_AND_PAD }",
    "distort_param { hue_prob: 1 hue_delta: 18 } expand_param { max_expand_ratio: 3 } "
    "resize_param { height: 30 width: 40 }",
    "mirror: true mirror_vertical: true crop_h: 30 crop_w: 40 warp_param { rotation: 20 local: 9 } "
    "random_resize_param { min_size: 50 max_size: 60 }",
    "crop_h: 30 crop_w: 40 random_aspect_ratio_param { }",
)
for _step in _steps:
    case(
        "AnnotatedData",
        [],
        annotated(f"transform_param {{ {_step} }}", "png")
        + "annotated_data_param { batch_sampler { sampler { min_scale: 0.5 } } }",
        shapes=[(2, 3, 30, 40)],
    )
_rows = "annotated_data_param { yolo_data_type: 1 } transform_param { resize_param { %s } }"
case(
    "AnnotatedData",
    [],
    annotated(_rows % "height: 9 width: 9"),
    tops=2,
    shapes=[(2, 3, 9, 9), (2, 1, 300, 5)],
)
for _options, _shapes in (
    ("side: [7, 13]", [(2, 343), (2, 1183)]),
    ("label_boxes: 30", [(2, 150)]),
    ("", [(2, 343)]),
):
    for _phase in (TRAIN, TEST):
        case(
            "BoxData",
            [],
            annotated("", source=f"batch_size: 2 backend: LMDB {_options}"),
            tops=1 + len(_shapes),
            phase=_phase,
            shapes=[(2, 3, 24, 32), *_shapes],
        )
_step = (
    "resize_param { height: 20 width: 20 } emit_constraint { emit_type: MIN_OVERLAP emit_overlap: "
    "0.95 } noise_param { saltpepper: true saltpepper_param { fraction: 0.5 value: 9 } }"
)
for _type, _labels, _shape in (
    ("AnnotatedData", "yolo_data_type: 1", (2, 1, 300, 5)),
    ("BoxData", "", (2, 343)),
):
    case(
        _type,
        [],
        annotated(f"transform_param {{ {_step} }}", "png")
        + f"annotated_data_param {{ {_labels} batch_sampler {{ sampler {{ min_scale: 0.5 }} }} }}",
        tops=2,
        shapes=[(2, 3, 20, 20), _shape],
    )
for _options, _words in (
    ("side: [7, 13]", "side: 2 are given for 1 tops behind the data"),
    ("side: 0", "expected 1 to 4096 cells"),
    ("side: 7 label_boxes: 30", "give one of them"),
):
    source = f"batch_size: 2 backend: LMDB {_options}"
    case("BoxData", [], annotated("", source=source), tops=2, error=_words)
for _options, _words in (
    ("annotated_data_param { anno_type: LANE }", "anno_type: LANE gives labels of pixels, or of l"),
    ("annotated_data_param { yolo_data_type: 2 }", "yolo_data_type: 2, expected 0 or 1"),
    (
        "transform_param { resize_params { height: 9 width: 9 } resize_params { height: 8 } }",
        "prob of 2 resize_param are 2 together, expected 1",
    ),
    ("transform_param { ten_crop: true crop_size: 8 }", "ten_crop makes several pictures of one"),
    (
        "transform_param { resize_param { resize_mode: FIT_SMALL_SIZE } }",
        "batch_size: 2, expected 1",
    ),
    ("annotated_data_param { batch_sampler { sampler { min_scale: 0 } } }", "0 < min_scale"),
    ("transform_param { expand_param { max_expand_ratio: 0.5 } }", "expected 1 or more"),
):
    case("AnnotatedData", [], annotated(_options), error=_words)
case(
    "AnnotatedData",
    [],
    f'data_param {{ source: "{CAFFE}/data/raw_lmdb" backend: LMDB batch_size: 1 }}',
    error='is a Datum, which has no boxes; write type: "Data"',
)
case(
    "Data",
    [],
    annotated(""),
    error='is an AnnotatedDatum, which has boxes; in a net, write type: "AnnotatedData"',
)


def region_data(more="", options="", source="batch_size: 1", kind="raw", **row):
    own = f"roi_data_param {{ {more} }} {options}"
    case("RoIData", [], annotated(own, kind, f"{source} backend: LMDB"), tops=3, **row)


_rows = _plain["out/0/label"][0, 0]
_rows = _rows[_rows[:, 0] == 0]
_own = _rows[_rows[:, 7] == 0]
_in_pixels = _own[:, 3:7] * (32, 24, 32, 24) - (0, 0, 1, 1)
region_data(golden=[
    _plain["out/0/data"][:1] + np.float32([[[[104]], [[117]], [[123]]]]),
    [[24, 32, 1]],
    np.column_stack([_in_pixels, _own[:, 1]]),
])  # fmt: skip
region_data(
    "rows: true",
    source="batch_size: 2",
    golden=[
        _plain["out/0/data"] + np.float32([[[[104]], [[117]], [[123]]]]),
        [[24, 32, 1]] * 2,
        _plain["out/0/label"],
    ],
)
_cut = "annotated_data_param { batch_sampler { sampler { min_scale: 0.5 } } }"
_steps += (_step,)
for _step in _steps:
    region_data("rows: true", f"transform_param {{ {_step} }} {_cut}", kind="png")
region_data("scale: 48", shapes=[(1, 3, 48, 64), (1, 3), (len(_own), 5)])
region_data("scale: 48 max_size: 60", shapes=[(1, 3, 45, 60), (1, 3), (len(_own), 5)])
region_data("scale: 0", error="scale is 0, expected pixels of the short side, 1 or more")
region_data("max_size: 9", error="max_size is given without scale")
region_data(
    source="batch_size: 2", error="batch_size: 2, expected 1: gt_boxes do not tell pictures"
)
region_data(
    "rows: true scale: 9 max_size: 9", source="batch_size: 2", error="have sizes of their own"
)
case("Input", [], "input_param { shape { dim: 2 dim: 3 } }", expect=lambda: np.zeros((2, 3)))
case("Input", [], "input_param { shape { dim: 2 } }", tops=3, shapes=[(2,)] * 3)
case("Input", [], "input_param { shape { dim: 2 } shape {} }", tops=2, shapes=[(2,), ()])
case("Input", [], "", shapes=[(0,)])
case(
    "Input",
    [],
    "input_param { shape { dim: 2 } shape { dim: 3 } }",
    tops=3,
    error="shape: given 2 times, expected 0, 1 or 3",
)

case("DummyData", [], "dummy_data_param { shape { dim: 3 } }", expect=lambda: np.zeros(3))
case(
    "DummyData",
    [],
    "dummy_data_param { num: 2 channels: 3 height: 4 width: 5 num: 1 channels: 6 height: 7 width: 8"
    "  data_filler { value: 1.5 } data_filler { type: 'uniform' max: 0 } }",
    tops=2,
    shapes=[(2, 3, 4, 5), (1, 6, 7, 8)],
)
case(
    "DummyData",
    [],
    "dummy_data_param { shape { dim: 2 dim: 3 } data_filler { value: 1.5 } }",
    tops=2,
    expect=lambda: [np.full((2, 3), 1.5)] * 2,
)
case("DummyData", [], "dummy_data_param { num: 2 }", error="channels: given 0 times")
case("DummyData", [], "dummy_data_param { num: 2 shape { dim: 3 } }", error="not both")
case(
    "DummyData",
    [],
    "dummy_data_param { shape { dim: 3 } data_filler { type: 'gaus' } }",
    error='data_filler: unknown filler type "gaus"; did you mean "gaussian"?',
)

case("HDF5Data", [], hdf5("batch_size: 9"), shapes=[(9, 1, 10, 10), (9,)])
case("HDF5Data", [], hdf5("batch_size: 60 shuffle: true"), shapes=[(60, 1, 10, 10), (60,)])
case("HDF5Data", [], hdf5(""), error="batch_size")
case("HDF5Data", [], "hdf5_data_param { batch_size: 1 }", error="source is missing")
case("HDF5Data", [], "hdf5_data_param { source: 'none.txt' batch_size: 1 }", error="none.txt")
case(
    "HDF5Data",
    [],
    hdf5("batch_size: 1") + "transform_param { scale: 2 }",
    error="transform_param does nothing here",
)

(csv_file := Path(_folder.name) / "rows.csv").write_text("x,y,kind\n1,2.5,0\n-3,4e1,2\n\n5,6,1\n")
_rows = np.array([[1, 2.5], [-3, 40], [5, 6]])


def csv_rows(options):
    return f'csv_data_param {{ source: "{csv_file}" {options} }}'


case(
    "CsvData",
    [],
    csv_rows("batch_size: 3 label: 'kind'"),
    tops=2,
    golden=[_rows, np.array([0, 2, 1])],
)
case("CsvData", [], csv_rows("batch_size: 3 feature: 'y'"), golden=np.array([[2.5], [40], [6]]))
case(
    "CsvData",
    [],
    csv_rows("batch_size: 5 feature: 'kind' label: 'y' label: 'x' shuffle: true"),
    tops=2,
    shapes=[(5, 1), (5, 2)],
)
case("CsvData", [], csv_rows("label: 'kind'"), error="batch_size: expected at least 1")
case("CsvData", [], "csv_data_param { batch_size: 1 }", error="source is missing")
case(
    "CsvData", [], csv_rows("batch_size: 1"), tops=2, error="label is missing: it names the column"
)
case(
    "CsvData",
    [],
    csv_rows("batch_size: 1 label: 'kinds'"),
    error='has no column "kinds"; did you mean "kind"?; it has x, y, kind',
)
case(
    "CsvData",
    [],
    csv_rows("batch_size: 1") + "transform_param { scale: 2 }",
    error="transform_param does nothing here",
)

case("ImageData", [], listed("new_height: 30 new_width: 30"), golden=recorded("image_resized"))
case(
    "ImageData",
    [],
    listed("is_color: false batch_size: 5 shuffle: true rand_skip: 4")
    + "transform_param { crop_size: 31 mirror: true }",
    shapes=[(5, 1, 31, 31), (5,)],
)
case("ImageData", [], listed("batch_size: 0"), error="batch_size")
case("ImageData", [], listed("new_height: 30"), error="give both, or neither")
case(
    "ImageData", [], listed("rand_skip: 6 new_height: 9 new_width: 8"), shapes=[(1, 3, 9, 8), (1,)]
)
case("ImageData", [], listed("rand_skip: 7"), error="rand_skip: 7, but it lists 6 pictures only")
case("ImageData", [], "image_data_param { source: 'none' }", error="none: cannot be read")
case("ImageData", [], "image_data_param { source: 'a\\0b' }", error="cannot be read: embedded null")
case("ImageData", [], "", error="source is missing")

blue_first = pixels.transpose(0, 3, 1, 2)[:, ::-1].astype(float)
case("DenseImageData", [], pairs("batch_size: 2"), golden=[blue_first[:2], classes[:2, None]])
case(
    "DenseImageData",
    [],
    pairs("batch_size: 3", transform="scale: 0.5 mean_value: 1 mean_value: 2 mean_value: 3"),
    golden=[(blue_first - np.reshape([1, 2, 3], (3, 1, 1))) / 2, classes[:, None]],
)
case(
    "DenseImageData",
    [],
    pairs("new_height: 3 new_width: 4 is_color: false shuffle: true"),
    shapes=[(1, 1, 3, 4), (1, 1, 3, 4)],
)
for options, more, error in [
    ("", {"name": "single"}, "single.txt:2: 1 words, expected the name of a picture and that of"),
    ("", {"name": "gap"}, "gap.txt:2: 0 words, expected the name"),
    ("", {"name": "nothing"}, "nothing.txt: lists no pictures"),
    ("", {"name": "none"}, "none.txt: cannot be read: No such file"),
    ("", {"name": "unlike"}, "6 x 8 pixels, but 36 x 44 labels in"),
    ("rand_skip: 4", {}, "rand_skip: 4, but it lists 3 pictures only"),
    ("new_width: 4", {}, "give both, or neither"),
    ("batch_size: 0", {}, "batch_size: expected at least 1"),
]:
    case("DenseImageData", [], pairs(options, **more), error=error)
case("DenseImageData", [], error="source is missing")
for more in ("ten_crop: true", "test_size: 4 test_size: 5"):
    transform, words = f"crop_size: 4 {more}", "make several pictures of one, whose labels"
    case("DenseImageData", [], pairs("", transform=transform), phase=TEST, error=words)
    case("ImageSegData", [], segmented("", transform), phase=TEST, error=words)
    edges = pairs("", "edges", transform).replace("dense_", "")
    case("ImageLabelmapData", [], edges, phase=TEST, error=words)
case("ImageSegData", [], error="label_type: IMAGE, a label for each picture")
case(
    "ImageSegData",
    [],
    segmented("batch_size: 2"),
    tops=3,
    golden=[blue_first[:2], classes[:2, None], np.full((2, 1, 1, 2), [6, 8])],
)
case(
    "ImageLabelmapData",
    [],
    pairs("batch_size: 3", "edges", "mean_value: 7 scale: 0.5").replace("dense_", ""),
    golden=[(blue_first - 7) / 2, pixels[:, None, :, :, 0] >= 128],
)
case(
    "ImageData",
    [],
    listed("new_height: 100000 new_width: 100000"),
    error="36 x 44 pixels would become 100000 x 100000",
)

_memory = "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }"
_data = np.arange(6 * 3 * 4 * 5, dtype=np.float32).reshape(6, 3, 4, 5)
with_arrays(
    case("MemoryData", [], _memory, golden=[_data[:2], np.float32([5, 4]).reshape(2, 1, 1, 1)]),
    _data,
    np.float32([5, 4, 3, 2, 1, 0]),
)
case("MemoryData", [], _memory, error="net.set_input_arrays(data, labels)")
case("MemoryData", [], "memory_data_param { batch_size: 2 }", error="must all be above 0")

output = Path(_folder.name) / "output.h5"
with_a_file_each(
    case(
        "HDF5Output",
        [(3, 2, 4, 5), (3,)],
        f'hdf5_output_param {{ file_name: "{output}" }}',
        shapes=[],
    )
)
case("HDF5Output", [(3, 2), (3,)], error="file_name is missing")
case(
    "HDF5Output",
    [(3, 2), (4,)],
    f'hdf5_output_param {{ file_name: "{output}" }}',
    error='bottom[1] "x1" has shape (4,), expected 3 samples',
)
case(
    "HDF5Output",
    [(3, 2, 1, 1, 1), (3,)],
    f'hdf5_output_param {{ file_name: "{output}" }}',
    error="expected 1 to 4 axes",
)
case(
    "HDF5Output",
    [(3, 2), (3,)],
    f'hdf5_output_param {{ file_name: "{_folder.name}" }}',
    error=f'cannot write "{_folder.name}"',
)

case(
    "WindowData",
    [],
    windows("batch_size: 5 context_pad: 3 cache_images: true", "crop_size: 16 mirror: true"),
    shapes=[(5, 3, 16, 16), (5,)],
)
case(
    "WindowData", [], windows("batch_size: 4000000000"), error="cannot have the shape (4000000000,"
)
case("WindowData", [], windows("batch_size: 5", ""), error="give crop_size")
case(
    "WindowData",
    [],
    windows("batch_size: 5", "crop_size: 9 mean_value: 1 mean_value: 2"),
    error="mean_value: given 2 times, expected 1 or 3",
)
case("WindowData", [], windows("batch_size: 5 context_pad: 8"), error="less than half of crop_size")
case("WindowData", [], windows("batch_size: 5 crop_mode: 'round'"), error='"warp" or "square"')
case("WindowData", [], windows("batch_size: 5 fg_fraction: 1.5"), error="expected 0 to 1")
case("WindowData", [], windows("batch_size: 5 fg_threshold: 1"), error="no foreground windows")
case("WindowData", [], windows("batch_size: 5 bg_threshold: 0"), error="no background windows")
