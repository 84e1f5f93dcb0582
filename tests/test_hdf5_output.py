import numpy as np
import pytest

from caffelite.testing import make_layer

h5py = pytest.importorskip("h5py")


def make(path, data, label):
    layer, bottom, top = make_layer(
        "HDF5Output", [data, label], f'hdf5_output_param {{ file_name: "{path}" }}'
    )
    layer.forward(bottom, top)
    return layer, bottom, top


def test_batches_are_written_one_behind_the_other(tmp_path):
    path = tmp_path / "out.h5"
    path.write_text("an old file")
    layer, bottom, top = make(path, np.arange(6.0).reshape(3, 2), np.arange(3.0))
    bottom[0].reshape(1, 2)
    bottom[1].reshape(1)
    bottom[0].data[...], bottom[1].data[...] = 7, 8
    layer.reshape(bottom, top)
    layer.forward(bottom, top)
    assert path.read_text() == "an old file"
    layer.close()
    with h5py.File(path) as file:
        assert sorted(file) == ["data", "label"]
        assert file["data"].shape == (4, 2, 1, 1)
        assert file["data"][:, :, 0, 0].tolist() == [[0, 1], [2, 3], [4, 5], [7, 7]]
        assert file["label"].shape == (4, 1, 1, 1)
        assert file["label"][:].ravel().tolist() == [0, 1, 2, 8]


def test_no_samples_add_nothing(tmp_path):
    for first in (0, 2):
        layer, bottom, top = make(tmp_path / "out.h5", np.ones((first, 3)), np.ones(first))
        layer.forward(bottom, top)
        layer.close()
        with h5py.File(tmp_path / "out.h5") as file:
            assert file["data"].shape == (2 * first, 3, 1, 1)


def test_samples_of_another_shape_are_refused(tmp_path):
    layer, bottom, top = make(tmp_path / "out.h5", np.ones((2, 3)), np.ones(2))
    bottom[0].reshape(2, 4)
    layer.reshape(bottom, top)
    with pytest.raises(RuntimeError, match=r"holds samples of shape \(3, 1, 1\)"):
        layer.forward(bottom, top)


def test_files_whose_long_names_begin_alike_do_not_disturb_each_other(tmp_path):
    paths = [tmp_path / f"{'x' * 100}_{k}.h5" for k in range(2)]
    made = [make(path, np.full((2, 3), k), np.full(2, k)) for k, path in enumerate(paths)]
    for layer, bottom, top in made:
        layer.forward(bottom, top)
        layer.close()
    for k, path in enumerate(paths):
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["data"], np.full((4, 3, 1, 1), k))
