from ...errors import DataError, missing_extra
from ..base import Layer, register


@register("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms to an HDF5 file, batch behind batch; needs the extra [hdf5].

    Bottom
        0: what becomes the dataset "data", up to 4 axes
        1: what becomes the dataset "label", up to 4 axes, with as many samples
    Options (hdf5_output_param)
        file_name: the file, from where the program runs; an old one is overwritten
    """

    options_field = "hdf5_output_param"
    bottoms = 2
    tops = 0
    no_gradient = (0, 1)

    def setup(self, bottom_shapes):
        if not self.options.file_name:
            raise self.error("file_name is missing")
        with self._open("w"):
            pass

    def _open(self, mode):
        try:
            import h5py
        except ImportError:
            raise missing_extra("h5py", "hdf5") from None
        try:
            return h5py.File(self.options.file_name, mode)
        except OSError as problem:
            raise self.error(
                f'cannot write "{self.options.file_name}": {problem}', DataError
            ) from problem

    def infer_shapes(self, bottom_shapes):
        data, label = bottom_shapes
        for index, shape in enumerate(bottom_shapes):
            if not 1 <= len(shape) <= 4:
                raise self.shape_error(index, shape, "1 to 4 axes")
        if data[0] != label[0]:
            raise self.shape_error(1, label, f"{data[0]} samples, as bottom[0] has")
        return []

    def forward(self, bottom, top):
        with self._open("a") as file:
            for name, blob in zip(("data", "label"), bottom, strict=True):
                self._append(file, name, blob.data)

    def _append(self, file, name, values):
        """Add rows of 4 axes to a dataset."""
        values = values.reshape(values.shape + (1,) * (4 - values.ndim))
        if name not in file:
            file.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]))
            return
        rows = file[name]
        if rows.shape[1:] != values.shape[1:]:
            raise self.error(
                f'the dataset "{name}" holds samples of shape {rows.shape[1:]}, '
                f"this batch has {values.shape[1:]}"
            )
        start = len(rows)
        rows.resize(start + len(values), axis=0)
        rows[start:] = values

    def backward(self, top, propagate_down, bottom):
        """Nothing to do: there is no gradient."""
