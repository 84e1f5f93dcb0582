"""Names of pycaffe's Net that begin with an underscore, and that scripts use all the same."""

from . import batches


class InnerNames:
    """A base of Net, which has `layers`, `nodes`, `blobs`, `inputs` and `outputs`."""

    @property
    def _layer_names(self):
        return [layer.name for layer in self.layers]

    @property
    def _blob_names(self):
        return list(self.blobs)

    @property
    def _blobs(self):
        return list(self.blobs.values())

    @property
    def _inputs(self):
        return self._ids(self.inputs)

    @property
    def _outputs(self):
        return self._ids(self.outputs)

    def _top_ids(self, index):
        return self._ids(self.nodes[index].top_names)

    def _bottom_ids(self, index):
        return self._ids(self.nodes[index].bottom_names)

    def _ids(self, names):
        """Places of the blobs `names` among all of the net's."""
        places = {name: i for i, name in enumerate(self.blobs)}
        return [places[name] for name in names]

    def _batch(self, values):
        return batches.split(self, values)
