"""Errors that name the way out of what many run into."""

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.hdf5 import dataset, open_file
from caffelite.errors import CaffeliteError, DataError
from caffelite.proto import caffe_pb2, text


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """A color and a gray picture, and their database, stored as they are."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 4)).save("color.png")
    Image.new("L", (4, 4)).save("gray.png")
    (tmp_path / "list").write_text("color.png 0\ngray.png 1\n")
    assert main(["convert_imageset", "./", "list", "db", "--encoded"]) == 0


def net(transform, batch=2):
    return caffelite.Net(
        text.parse(
            'layer { name: "d" type: "Data" top: "x" top: "t" data_param { source: "db" '
            f"backend: LMDB batch_size: {batch} }} transform_param {{ {transform} }} }}",
            caffe_pb2.NetParameter,
        ),
        caffelite.TRAIN,
    )


def test_gray_pictures_among_those_of_color(mixed, capsys):
    assert main(["convert_imageset", "./", "list", "again", "--encoded"]) == 0
    said = capsys.readouterr().err
    assert "again: pictures differ in their channels (1 of 1, 1 of 3)" in said
    assert "force_color: true, or force_gray" in said
    with pytest.raises(CaffeliteError, match="gray ones are among those of color: force_color: tr"):
        net("").forward()
    assert net("force_color: true").forward()["t"].tolist() == [0, 1]
    assert main(["compute_image_mean", "db"]) == 1
    assert "gray ones are among those of color" in capsys.readouterr().err
    with pytest.raises(CaffeliteError, match="there are 3 of mean_value.*; gray ones are among"):
        net("mean_value: [1, 2, 3]", batch=1).forward()
        net("mean_value: [1, 2, 3]").forward()


def test_other_sizes_have_another_way_out(mixed):
    Image.new("RGB", (4, 5)).save("gray.png")
    assert main(["convert_imageset", "./", "list", "sizes"]) == 0
    with pytest.raises(CaffeliteError, match="resize the pictures, or use batch_size: 1") as caught:
        layer = 'type: "ImageData" image_data_param { source: "list" batch_size: 2 }'
        source = f'layer {{ name: "d" top: "x" top: "t" {layer} }}'
        net_param = text.parse(source, caffe_pb2.NetParameter)
        caffelite.Net(net_param, caffelite.TRAIN).forward()
    assert "force_color" not in str(caught.value)


def test_flags_in_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.array([True, False])
    with open_file(str(tmp_path / "x.h5")) as file:
        with pytest.raises(DataError, match='bool .2,.*; store it as array.astype."uint8". or "fl'):
            dataset(file, "x")
