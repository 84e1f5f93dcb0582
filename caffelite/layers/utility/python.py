"""Layers that users write in Python, as pycaffe's: a class in a module, named by the prototxt."""

from __future__ import annotations

import enum
import sys
import weakref
from collections.abc import Sequence

from ...blob import Blob
from ...errors import CaffeliteError, did_you_mean
from ...own_code import import_own, is_allowed, told
from ...proto.caffe_pb2 import LayerParameter
from .. import base
from ..options import OWN_LAYERS

_WORDS = {"applies", "compares", "files", "labels", "learns", "linear", "role", "windows"}
"""Facts of a layer type whose names a user's object may have for something else."""


class Phase(enum.IntEnum):
    """TRAIN or TEST: 0 or 1 as a number, its name as a string."""

    TRAIN = base.TRAIN
    TEST = base.TEST

    def __str__(self) -> str:
        return self.name


class BlobVec(list[Blob]):
    """The learnable blobs of a layer, as pycaffe shows them."""

    def __init__(self, layer: base.Layer) -> None:
        super().__init__()
        self._layer = weakref.proxy(layer)  # which holds this list

    def add_blob(self, *shape: int) -> None:
        """Append a blob of zeros: trained, saved and loaded as any other."""
        self._layer.add_blob(str(len(self)), shape)


class Layer:
    """Base of your own layers, for `type: "Python"`; they may run any Python in four methods.

    setup(bottom, top)
        runs once: look at `self.param_str`, check the bottoms, `self.blobs.add_blob(*shape)`
    reshape(bottom, top)
        runs before each forward: give the tops their shapes, `top[0].reshape(*shape)`
    forward(bottom, top)
        computes `top[0].data[...]`; may still reshape tops
    backward(top, propagate_down, bottom)
        computes `bottom[i].diff[...]` where `propagate_down[i]`, adds to `self.blobs[j].diff`

    `bottom` and `top` are lists of Blobs. `self.phase` equals caffelite.TRAIN or TEST, and
    `self.layer_param` is the LayerParameter.
    """

    type = "Python"
    param_str: str
    phase: Phase
    blobs: BlobVec

    def __init__(self, layer_param: LayerParameter) -> None:
        self.layer_param = layer_param

    @property
    def param_str_(self) -> str:
        """Old name of param_str."""
        return self.param_str

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Check bottoms and options."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops their shapes."""
        raise NotImplementedError("a Python layer needs a method reshape(self, bottom, top)")

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Compute the tops' data."""
        raise NotImplementedError("a Python layer needs a method forward(self, bottom, top)")

    def backward(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> None:
        """Compute the bottoms' diffs."""
        if any(propagate_down):
            raise NotImplementedError(
                "a gradient was asked for: the layer needs a method "
                "backward(self, top, propagate_down, bottom)"
            )


def _joined(error, problem):
    """`error` as an exception of `problem`'s class, too: who runs a net may catch either."""
    kind = type(problem)
    as_ours = {
        "__module__": kind.__module__,
        "__init__": Exception.__init__,
        "__str__": Exception.__str__,
    }
    try:
        joined = type(kind.__name__, (type(error), kind), as_ours)(*error.args)
    except TypeError:  # one of ours already, or of a kind that cannot be joined
        return error
    vars(joined).update(vars(error) | vars(problem))
    return joined


@base.register("Python")
class Python(base.Layer):
    """Whatever a class of yours computes; derive it from caffelite.Layer.

    Bottom
        0...: as the class likes
    Top
        0...: likewise
    Blobs
        those that the class adds in its setup
    Options (python_param)
        module: Python module with the class; imported already, or allowed by
            caffelite.allow_python("MODULE"), --allow-python MODULE or --import MODULE
        layer: name of the class; VOCSegDataLayer and SBDDSegDataLayer of FCN's voc_layers,
            SpatialDropoutLayer of ENet's spatial_dropout, and ProposalLayer, AnchorTargetLayer and
            ProposalTargetLayer of py-faster-rcnn's and R-FCN's rpn, and their RoIDataLayer are here
            already, and are taken where that module is neither imported nor allowed
        param_str: text for the class, its `self.param_str`
        share_in_parallel: does nothing
    """

    options_field = "python_param"
    learns = True
    files = ("module",)
    assigns_diff = False
    ignored = {"python_param.share_in_parallel": OWN_LAYERS}
    bottoms = (0, None)
    tops = (0, None)
    in_place = True
    always_reshape = True
    is_set_up = False
    top_shapes = ()

    @classmethod
    def for_param(cls, param):
        """Of the layers of others' modules that are here, too, where the module is not."""
        from ..common import _spatial_dropout_layer
        from ..data import _roi_layers, _voc_layers
        from ..detection import _rcnn_layers

        module, layer = param.python_param.module, param.python_param.layer
        if module in sys.modules or is_allowed(module):
            return cls
        for home in (_voc_layers, _roi_layers, _spatial_dropout_layer, _rcnn_layers):
            if stand_in := home.STAND_INS.get((module, layer)):
                return stand_in.for_param(param)
        return cls

    def setup(self, bottom_shapes):
        layer_class = self._find_class()
        self.layer = self._guard(layer_class.__name__, layer_class, self.param)
        self.layer.param_str = self.options.param_str
        self.layer.phase = Phase(self.phase)
        self.layer.blobs = self.blobs = BlobVec(self)

    def _find_class(self):
        name, options = self.options.module, self.options
        if not name or not options.layer:
            raise self.error("python_param needs module and layer, the name of a class in it")
        if name not in sys.modules:
            if not is_allowed(name):
                raise self.error(
                    f'the module "{name}" is not imported, and a net may not import it by itself; '
                    f'if you trust it, say caffelite.allow_python("{name}"), or --allow-python '
                    f"{name} on the command line"
                )
            self._import(name)
        members = vars(sys.modules[name])
        known = [n for n, v in members.items() if isinstance(v, type) and issubclass(v, Layer)]
        if options.layer not in known:
            hint = did_you_mean(options.layer, known) or "; derive it from caffelite.Layer"
            raise self.error(f'the module "{name}" has no layer "{options.layer}"{hint}')
        return members[options.layer]

    def _import(self, name):
        try:
            import_own(name)
        except CaffeliteError as problem:
            raise self.error(str(problem)) from problem.__cause__

    def _guard(self, what, function, *arguments):
        """Call the user's code; say where it is and which layer ran it if it raises."""
        try:
            return function(*arguments)
        except Exception as problem:
            module_file = getattr(sys.modules[self.options.module], "__file__", None)
            error = self.error(f"{what} raised {told(problem, module_file)}")
            raise _joined(error, problem) from problem

    def _call(self, method, *arguments):
        what = f"{self.options.layer}.{method}"
        return self._guard(what, getattr(self.layer, method), *arguments)

    def share_out(self, shard, gathered=None):
        if not self.param.bottom and shard.size > 1:
            if not hasattr(self.layer, "shard"):
                raise self.error(
                    f"brings data along, and its class {self.options.layer} does not say how these "
                    f"are shared out to {shard.size} processes: give it an attribute shard = "
                    "(0, 1), which is set to (rank, processes) before the first forward, and let "
                    "it deliver only what is of this rank"
                )
            self.layer.shard = tuple(shard[:2])
        super().share_out(shard, gathered)

    def check_blobs(self):
        """They are the user's."""

    def infer_shapes(self, bottom_shapes):
        """What the class makes of such bottoms, tried on blobs that nobody else uses."""
        bottom = [Blob(shape, self.dtype) for shape in bottom_shapes]
        top = [Blob(shape, self.dtype) for shape in self.top_shapes]
        self._call("reshape", bottom, top)
        return [blob.shape for blob in top]

    def reshape(self, bottom, top):
        if not self.is_set_up:
            self.is_set_up = True
            self._call("setup", bottom, top)
        self._call("reshape", bottom, top)
        self.top_shapes = [blob.shape for blob in top]

    def forward(self, bottom, top):
        self._call("forward", bottom, top)

    def backward(self, top, propagate_down, bottom):
        self._call("backward", top, list(propagate_down), bottom)

    # To scripts, the user's object: `net.layers[0].index += 1`, `net.layers[0].set_roidb(...)`

    def __getattribute__(self, name):
        mine = super().__getattribute__
        if name in _WORDS and name in getattr(vars(self).get("layer"), "__dict__", ()):
            return getattr(mine("layer"), name)
        return mine(name)

    def __getattr__(self, name):
        if "layer" not in self.__dict__ or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.layer, name)

    def __setattr__(self, name, value):
        ours = hasattr(Python, name) and name not in _WORDS
        if "layer" not in self.__dict__ or name in self.__dict__ or ours:
            super().__setattr__(name, value)
        else:
            setattr(self.layer, name, value)
