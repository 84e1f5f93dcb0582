"""Nets of one layer, read and run by OpenCV 4, which has a reader of Caffe's files of its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import caffelite

dnn = pytest.importorskip("cv2").dnn
if not hasattr(dnn, "readNetFromCaffe"):
    pytest.skip("this OpenCV reads no Caffe nets", allow_module_level=True)

LAYERS = {
    "AbsVal": "",
    "BNLL": "",
    "BatchNorm": "",
    "Convolution": """convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 pad: 1 stride: 2
        weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } }""",
    "Deconvolution": """convolution_param { num_output: 3 kernel_size: 3 stride: 2
        weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } }""",
    "Dropout": "",
    "ELU": "",
    "Exp": "",
    "Flatten": "",
    "InnerProduct": """inner_product_param { num_output: 5 weight_filler { type: "gaussian" }
        bias_filler { type: "gaussian" } }""",
    "LRN": "lrn_param { local_size: 3 alpha: 0.5 }",
    "Interp": "interp_param { zoom_factor: 2 }",
    "MVN": "",
    "Normalize": """norm_param { across_spatial: false channel_shared: false
        scale_filler { value: 20 } }""",
    "Permute": "permute_param { order: 0 order: 2 order: 3 order: 1 }",
    "Pooling": "pooling_param { kernel_size: 3 stride: 2 pad: 1 }",
    "Power": "power_param { power: 2 scale: 0.5 shift: 1 }",
    "PReLU": "",
    "Scale": 'scale_param { bias_term: true filler { type: "gaussian" } }',
    "ReLU": "relu_param { negative_slope: 0.25 }",
    "ReLU6": "",
    "Reshape": "reshape_param { shape { dim: 0 dim: -1 } }",
    "Sigmoid": "",
    "Softmax": "",
    "Split": "",
    "Swish": "",
    "TanH": "",
}


few, several = st.integers(1, 5), st.integers(4, 9)


@pytest.mark.parametrize("type", LAYERS)
@settings(max_examples=10)
@given(shape=st.tuples(few, few, several, several), seed=st.integers(0, 2**32 - 1))
def test_opencv_reads_and_runs_the_same(tmp_path_factory, type, shape, seed):
    prototxt = tmp_path_factory.mktemp("opencv") / "net.prototxt"
    model = str(prototxt.with_suffix(".caffemodel"))
    dims = " ".join(f"dim: {side}" for side in shape)
    layer = f'layer {{ name: "y" type: "{type}" bottom: "x" top: "y" {LAYERS[type]} }}'
    data = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }}'
    prototxt.write_text(data + layer)
    net = caffelite.Net(str(prototxt), caffelite.TEST)
    if type == "BatchNorm":
        for blob in net.params["y"]:
            blob.data[...] = 1 + np.arange(blob.count)
    net.save(model)
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    want = dnn.readNetFromCaffe(str(prototxt), model)
    want.setInput(x)
    np.testing.assert_allclose(net.forward(x=x)["y"], want.forward(), 1e-4, 1e-5)
