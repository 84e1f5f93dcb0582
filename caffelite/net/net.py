"""Net: layers wired by the names of their blobs; forward, backward, weights."""

import logging
import os
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import layers as _layers  # noqa: F401  (registers all types)
from .. import rng
from ..blob import Blob
from ..errors import NetError
from ..layers.base import ONE_ENGINE, ONE_PRECISION, TEST, TRAIN, create_layer
from ..proto import caffe_pb2
from ..proto.given import given
from ..proto.text import read_net
from ..proto.upgrade import upgrade_net
from . import batches, memory, passes, transfer, weights
from .plan import plan_backward
from .steps import Steps

log = logging.getLogger("caffelite")

AUTOMATIC = "(automatic)"  # the name of a loss's anonymous top


@dataclass
class Learnable:
    """A learnable blob that owns its values, with what the solver needs to know about it."""

    blob: Blob
    layer: str
    index: int  # among the layer's blobs
    lr_mult: float = 1.0
    decay_mult: float = 1.0
    lr_given: bool = False
    decay_given: bool = False


class Net:
    """A net, built from a prototxt file or a NetParameter.

    Parameters
    ----------
    network_file : path of a prototxt, or a NetParameter
    phase : TRAIN or TEST
    level, stages : further parts of the state that layers' include and exclude rules ask for
    weights : file to load, .caffemodel or HDF5
    dtype : float32, or float64 for numerical checks
    seed : of fillers, dropout and data order; by default from `set_random_seed`

    Net(file, weights, phase) works too, as in old pycaffe.
    """

    ignored = {  # as in Layer
        "engine": ONE_ENGINE,
        "default_conv_algos_override": ONE_ENGINE,
        "default_cudnn_math_override": ONE_ENGINE,
        "default_forward_type": ONE_PRECISION,
        "default_backward_type": ONE_PRECISION,
        "default_forward_math": ONE_PRECISION,
        "default_backward_math": ONE_PRECISION,
        "global_grad_scale": "gradients are float32, which need no scale",
        "global_grad_scale_adaptive": "gradients are float32, which need no scale",
        "compile_net_state": "layers that can run in one step do",
        "eltwise_mem_sharing": "memory is shared where it can be",
        "bn_stats_batch_size": "BatchNorm's statistics are of the whole batch",
        "reduce_buckets": "gradients are exchanged whole",
        "multinode": "every process has the whole net",
    }

    def __init__(
        self,
        network_file,
        *args,
        phase=None,
        level=0,
        stages=None,
        weights=None,
        dtype=np.float32,
        seed=None,
    ):
        phase, level, stages, weights = _sort_arguments(args, phase, level, stages, weights)
        self.file, param = _read(network_file)
        param.state.phase = phase
        param.state.level = level
        param.state.stage.extend(stages or [])
        self._build(param, np.dtype(dtype), rng.next_seed() if seed is None else seed, set())
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(cls, param, file="", dtype=np.float32, seed=None, warned=None):
        """The net of a NetParameter that brings its own `state`; `file` is for messages.

        `warned`, a set, holds what need not be said again, and gets what is said now.
        """
        net = cls.__new__(cls)
        net.file = os.fspath(file)
        seed = rng.next_seed() if seed is None else seed
        net._build(param, np.dtype(dtype), seed, set() if warned is None else warned)
        return net

    # Construction

    def _build(self, param, dtype, seed, warned):
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"a net computes in float32 or float64, not in {dtype}")
        at = f"{self.file}: " if self.file else ""
        _warn_once([f"{at}{words}" for _, words in unread(param)], warned)
        param = passes.filter_layers(param, self.file)
        param = passes.insert_splits(param, self.file)
        self.name, self.phase, self.dtype = param.name, param.state.phase, dtype
        self.debug_info = param.debug_info
        self.blobs, self.layers = OrderedDict(), []
        self.learnable, self._owners, self._named = [], {}, {}
        self._filled = set()  # ids of the blobs, owners of their values, that a file gave these
        self._producers, self._callbacks = {}, {}
        self._values = 0  # of the tops so far, those in place counted again
        lr_mults = []
        for index, layer_param in enumerate(param.layer):
            lr_mults.append(self._add_layer(layer_param, rng.derive(seed, index), warned))
        self._plan(lr_mults, param.force_backward)
        self._share_named()
        self._steps = Steps(self.layers)
        self.inputs = [n for ly in self.layers if ly.type == "Input" for n in ly.top_names]
        self.outputs = self._unread()
        for name in self.outputs:
            log.info("This network produces output %s", name)
        log.info("Network initialization done.")

    def _add_layer(self, param, seed, warned):
        """Create, wire and set up one layer; returns the lr_mult of its blobs, as the file has it.

        A layer may add specs of its own (BatchNorm freezes its statistics); those do not count
        for what runs backward.
        """
        if not param.HasField("phase"):
            param.phase = self.phase
        layer = create_layer(param, phase=param.phase, dtype=self.dtype, file=self.file, seed=seed)
        log.info("Creating Layer %s", layer.name)
        self._wire(layer)
        log.info("Setting up %s", layer.name)
        _warn_once(layer.check_options(), warned)
        lr_mults = [spec.lr_mult for spec in param.param]
        shapes = [blob.shape for blob in layer.bottom_blobs]
        layer.setup(shapes)
        _check_in_place(layer)
        self.layers.append(layer)
        self._reshape(layer)
        layer.loss_weights = _loss_weights(layer)
        _seed_losses(layer)
        self._log_tops(layer)
        self._register_blobs(layer)
        if param.blobs and (mended := layer.settle()):
            _warn_once([f"{layer.at}: {mended}"], warned)
        param.ClearField("blobs")
        return (lr_mults + [1.0] * len(layer.blobs))[: len(layer.blobs)]

    def _log_tops(self, layer):
        for blob, weight in zip(layer.top_blobs, layer.loss_weights, strict=True):
            log.info("Top shape: %s(%d)", "".join(f"{dim} " for dim in blob.shape), blob.count)
            if weight:
                log.info("    with loss weight %g", weight)
            self._values += blob.count
        log.info("Memory required for data: %d", self._values * self.dtype.itemsize)

    def _wire(self, layer):
        param = layer.param
        layer.bottom_names = list(param.bottom)
        layer.top_names = list(param.top)
        layer.bottom_blobs = [self.blobs[name] for name in layer.bottom_names]
        for name in layer.bottom_names:
            log.info("%s <- %s", layer.name, name)
        layer.top_names += [AUTOMATIC] * (layer.num_tops - len(layer.top_names))
        _check_count(layer, "bottom", layer.bottoms, len(layer.bottom_names))
        _check_count(layer, "top", layer.tops, len(layer.top_names))
        layer.top_blobs = [self._top(layer, k, n) for k, n in enumerate(layer.top_names)]
        if len(param.propagate_down) not in (0, len(param.bottom)):
            raise layer.error(
                f"propagate_down has {len(param.propagate_down)} entries, expected none "
                f"or one per bottom, {len(param.bottom)}"
            )

    def _top(self, layer, index, name):
        if layer.bottom_names[index : index + 1] == [name]:
            log.info("%s -> %s (in-place)", layer.name, name)
            return layer.bottom_blobs[index]
        log.info("%s -> %s", layer.name, name)
        blob = Blob(dtype=self.dtype)
        if name == AUTOMATIC:
            self.blobs.setdefault(name, blob)
            return blob
        if name in self.blobs:
            raise layer.error(
                f'top[{index}] "{name}" is already a top of {self._producers[name].at}; '
                "a blob has one producer: rename one of the two, or, to compute in place, "
                f'put "{name}" at the same place among bottoms and tops, with no other reader '
                "of it before this layer"
            )
        self.blobs[name] = blob
        self._producers[name] = layer
        return blob

    def _reshape(self, layer):
        layer.check_blobs()
        layer.reshape(layer.bottom_blobs, layer.top_blobs)
        layer.reshaped_for = _shapes(layer)

    def _register_blobs(self, layer):
        """Enter a layer's learnable blobs; of several with one name, the first owns the values."""
        specs = layer.param.param
        for what, items in (("param entries", specs), ("blobs in the net file", layer.param.blobs)):
            if len(items) > len(layer.blobs):
                raise layer.error(
                    f"has {len(items)} {what}, but only {len(layer.blobs)} learnable blobs"
                )
        for index, blob in enumerate(layer.blobs):
            spec = specs[index] if index < len(specs) else caffe_pb2.ParamSpec()
            entry = Learnable(
                blob,
                layer.name,
                index,
                spec.lr_mult,
                spec.decay_mult,
                spec.HasField("lr_mult"),
                spec.HasField("decay_mult"),
            )
            owner = self._named.setdefault(spec.name, entry) if spec.name else entry
            self._owners[id(blob)] = owner.blob
            if index < len(layer.param.blobs):
                self._filled.add(id(owner.blob))
            if owner is entry:
                self.learnable.append(entry)
            else:
                _adopt(layer, index, owner, entry, spec)

    def _share_named(self):
        """Give each blob that shares by name its owner's memory."""
        for layer in self.layers:
            for blob in layer.blobs:
                blob.share_data(self._owners[id(blob)])
                blob.share_diff(self._owners[id(blob)])

    def _unread(self):
        """Names of the tops that no later layer reads, sorted by their bytes."""
        unread = set()
        for layer in self.layers:
            unread.difference_update(layer.bottom_names)
            unread.update(layer.top_names)
        return sorted(unread - {AUTOMATIC}, key=str.encode)

    def owner_of(self, blob):
        """The blob whose values a learnable blob uses; itself, unless it shares by name."""
        return self._owners[id(blob)]

    def _plan(self, lr_mults, force):
        needed, bottoms = plan_backward(self.layers, lr_mults, force)
        for layer, need, wants, mults in zip(self.layers, needed, bottoms, lr_mults, strict=True):
            layer.needs_backward, layer.propagate_down = need, wants
            layer.param_propagate_down = [force or lr != 0 for lr in mults]
        for layer in reversed(self.layers):
            verb = "needs" if layer.needs_backward else "does not need"
            log.info("%s %s backward computation.", layer.name, verb)

    # Looking things up

    @property
    def chains(self):
        """{index of a layer: in-place layers after it that run in one step with it}."""
        return self._steps.chains

    @cached_property
    def params(self):
        """{layer name: [its learnable blobs]}, for the layers that have any."""
        return OrderedDict((ly.name, ly.blobs) for ly in self.layers if ly.blobs)

    @cached_property
    def layer_dict(self):
        """{layer name: layer}."""
        return OrderedDict((layer.name, layer) for layer in self.layers)

    @cached_property
    def top_names(self):
        """{layer name: [names of its tops]}."""
        return OrderedDict((layer.name, layer.top_names) for layer in self.layers)

    @cached_property
    def bottom_names(self):
        """{layer name: [names of its bottoms]}."""
        return OrderedDict((layer.name, layer.bottom_names) for layer in self.layers)

    @cached_property
    def blob_loss_weights(self):
        """{blob name: its weight in the loss}."""
        found = OrderedDict.fromkeys(self.blobs, 0.0)
        for layer in self.layers:
            for name, weight in zip(layer.top_names, layer.loss_weights, strict=True):
                found[name] = weight or found[name]
        return found

    def _repr_html_(self):
        """A picture and a table, for Jupyter."""
        from ..pictures.notebook import net_page

        return net_page(self)

    # pycaffe's internals, which scripts use

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
        return self._ids(self.layers[index].top_names)

    def _bottom_ids(self, index):
        return self._ids(self.layers[index].bottom_names)

    def _ids(self, names):
        """Places of the blobs `names` among all of the net's."""
        places = {name: i for i, name in enumerate(self.blobs)}
        return [places[name] for name in names]

    def _batch(self, values):
        return batches.split(self, values)

    # Running

    def forward(self, blobs=None, start=None, end=None, **kwargs):
        """Run layers `start` to `end` (names, both included); returns {output name: array}.

        Keyword arguments set the net's inputs first. The arrays are views that the next forward
        overwrites; `blobs` names more of them to return.
        """
        first, last = self._index(start, 0), self._index(end, len(self.layers) - 1)
        self._set_all("forward", "inputs", "data", kwargs)
        self._forward(first, last)
        names = self.layers[last].top_names if end is not None else self.outputs
        return {name: self.blobs[name].data for name in [*names, *(blobs or [])]}

    def backward(self, diffs=None, start=None, end=None, **kwargs):
        """Run backward from layer `start` (default: the last) to `end` (the first).

        Keyword arguments set the diffs of the net's outputs first. Returns {input name: diff}.
        """
        last, first = self._index(start, len(self.layers) - 1), self._index(end, 0)
        self._set_all("backward", "outputs", "diff", kwargs)
        self._backward(last, first)
        names = self.layers[first].bottom_names if end is not None else self.inputs
        return {name: self.blobs[name].diff for name in [*names, *(diffs or [])]}

    def forward_all(self, blobs=None, **kwargs):
        """Run any number of samples through the net, batch by batch.

        Keyword arguments give the inputs; the batch size is axis 0 of the net's first blob. Returns
        {output name: values for all samples}, copies; `blobs` names more of them to return.
        """
        self._check_names("forward_all", kwargs, self.inputs)
        return batches.forward_all(self, blobs, kwargs)

    def forward_backward_all(self, blobs=None, diffs=None, **kwargs):
        """As forward_all, then backward; keyword arguments give inputs and diffs of outputs.

        Returns ({output name: values}, {input name: diffs}), for all samples.
        """
        self._check_names("forward_backward_all", kwargs, [*self.inputs, *self.outputs])
        return batches.forward_backward_all(self, blobs, diffs, kwargs)

    def set_input_arrays(self, data, labels):
        """Let the net's first layer, a MemoryData, serve these arrays; see its `set_arrays`."""
        first = self.layers[0]
        if first.type != "MemoryData":
            raise first.error("set_input_arrays needs a net whose first layer is a MemoryData")
        first.set_arrays(data, labels)

    @staticmethod
    def _check_names(method, given, known):
        unknown = [name for name in given if name not in known]
        if unknown or not given:
            raise NetError(f"{method} takes arrays for {known}, not for {sorted(given)}")

    def _set_all(self, method, ends, kind, given):
        """Set the data or diff of all the net's inputs or outputs, if any are given."""
        if given and set(given) != set(getattr(self, ends)):
            raise NetError(
                f"{method}: the net's {ends} are {getattr(self, ends)}, not {sorted(given)}"
            )
        for name, values in given.items():
            self._set(getattr(self.blobs[name], kind), name, values)

    def _set(self, array, name, values):
        values = np.asarray(values)
        if array.ndim and (values.ndim == 0 or values.shape[0] != array.shape[0]):
            raise NetError(
                f'"{name}" has shape {array.shape}, got {values.shape}; reshape the blob first '
                "to run another batch size"
            )
        array[...] = values

    def _index(self, name, default):
        """The index of the layer `name`; `default` if that is None."""
        if name is None:
            return default
        if name not in self.layer_dict:
            raise ValueError(f'the net has no layer "{name}"')
        return self._layer_names.index(name)

    def _forward(self, start, end):
        """Run layers of indices `start` to `end`, both included; returns their summed loss."""
        loss, watched = 0.0, self._is_watched
        for index, layers in self._steps.forward(start, end, watched):
            self._call("before_forward", index)
            for layer in layers:
                if layer.always_reshape or layer.reshaped_for != _shapes(layer):
                    self._reshape(layer)
                    _seed_losses(layer)
            layers[0].forward(layers[0].bottom_blobs, layers[0].top_blobs)
            for layer in layers:
                layer.ran_for = _shapes(layer)
            layer = layers[0]
            if watched:
                self._steps.show(index, index)
            if any(layer.loss_weights):
                loss += _loss_of(layer)
            if self.debug_info:
                self._log_forward(layer)
            self._call("after_forward", index)
        self._steps.show(start, end)
        return loss

    def _backward(self, start, end):
        """Run backward through layers of indices `start` down to `end`, both included."""
        for index in self._steps.backward(start, end, self._is_watched):
            layer = self.layers[index]
            self._call("before_backward", index)
            if layer.needs_backward:
                _run_backward(layer)
                if self.debug_info:
                    self._log_backward(layer)
            self._call("after_backward", index)
        if self.debug_info and (start, end) == (len(self.layers) - 1, 0):
            self._log_totals()

    @property
    def _is_watched(self):
        """Whether somebody looks at blobs between layers."""
        return bool(self._callbacks or self.debug_info)

    def forward_backward(self):
        """One forward and one backward of the whole net; returns the loss."""
        last = len(self.layers) - 1
        loss = self._forward(0, last)
        self._backward(last, 0)
        return loss

    def reshape(self):
        """Pass changed shapes on through the net without computing."""
        for layer in self.layers:
            self._reshape(layer)
            _seed_losses(layer)

    def economize(self, forward_only=False):
        """Let what is never needed at the same time use the same memory.

        From now on diffs of blobs, and with `forward_only` their data instead, hold what they
        should only while the net runs; inputs, outputs and learnable blobs stay as they are.
        """
        kept = {*self.inputs, *self.outputs}
        if forward_only:
            for layer in self.layers:
                layer.needs_backward = False
                layer.propagate_down = [False] * len(layer.bottom_names)
            self._steps.rejoin()
            self._steps = Steps(self.layers)  # without backward, more layers can run as one
            memory.share_data(self.layers, kept)
        else:
            memory.share_diffs(self.layers, kept)

    def clear_param_diffs(self):
        """Set the diffs of all learnable blobs to 0."""
        for entry in self.learnable:
            if entry.blob.diff_allocated:
                entry.blob.diff[...] = 0

    def only_look(self):
        """From now on forward leaves all files alone: layers that write write nothing."""
        for layer in self.layers:
            layer.writes = False

    def close(self):
        """Stop the threads of data layers, close files, and put those written in their places."""
        for layer in self.layers:
            layer.close()

    def discard(self):
        """Leave no file of those that layers write: what they hold so far is not all."""
        for layer in self.layers:
            layer.discard()

    def reseed(self, seed):
        """Give all layers the random streams that a net built with `seed` has."""
        for index, layer in enumerate(self.layers):
            layer.seed = rng.derive(seed, index)

    # Callbacks, each called with the index of a layer

    def _call(self, event, index):
        for callback in self._callbacks.get(event, ()):
            callback(index)

    def before_forward(self, callback):
        """Call `callback(layer index)` before each layer's forward."""
        self._callbacks.setdefault("before_forward", []).append(callback)

    def after_forward(self, callback):
        """Call `callback(layer index)` after each layer's forward."""
        self._callbacks.setdefault("after_forward", []).append(callback)

    def before_backward(self, callback):
        """Call `callback(layer index)` before each layer's backward."""
        self._callbacks.setdefault("before_backward", []).append(callback)

    def after_backward(self, callback):
        """Call `callback(layer index)` after each layer's backward."""
        self._callbacks.setdefault("after_backward", []).append(callback)

    # Weights

    def copy_from(self, path, missing=transfer.WARN):
        """Load weights, .caffemodel or HDF5, into the layers of the same names.

        `path` may be several files, separated by commas. Returns a table of what was copied, what
        was not, and why. Where layers have no values of a file, `missing` tells what to do: "warn";
        "refuse", raise an error; "report", in the table alone, as is meant for fine-tuning.
        """
        if missing not in transfer.MISSING:
            raise ValueError(f"missing: expected one of {transfer.MISSING}, not {missing!r}")
        return weights.copy_from(self, path, missing)

    def mark_filled(self, blobs):
        """Take note that these blobs have values of a file or another net."""
        self._filled.update(id(self.owner_of(blob)) for blob in blobs)

    def unfilled_layers(self, coming=()):
        """[(layer, those of its learnable blobs with values of no file or other net)].

        The blobs `coming` are about to have some.
        """
        filled = self._filled.union(id(self.owner_of(blob)) for blob in coming)
        found = [
            (layer, [b for b in layer.blobs if b.count and id(self.owner_of(b)) not in filled])
            for layer in self.layers
        ]
        return [(layer, blobs) for layer, blobs in found if blobs]

    def share_with(self, other):
        """Use the weights of another net's layers of the same names, without copying."""
        self.mark_filled(weights.share_layers(self, other))

    def save(self, path, diff=False):
        """Write the weights as a .caffemodel."""
        weights.save_binary(self, path, diff)

    def save_hdf5(self, path, diff=False):
        """Write the weights as HDF5."""
        weights.save_hdf5(self, path, diff)

    def load_hdf5(self, path):
        """Load weights from HDF5; returns a table, as `copy_from`."""
        return weights.load_hdf5(self, path)

    # debug_info

    def _log_forward(self, layer):
        for name, blob in zip(layer.top_names, layer.top_blobs, strict=True):
            _log_mean("Forward", layer, f"top blob {name} data", blob.data)
        for index, blob in enumerate(layer.blobs):
            specs = layer.param.param
            name = (specs[index].name if index < len(specs) else "") or index
            _log_mean("Forward", layer, f"param blob {name} data", blob.data)

    def _log_backward(self, layer):
        bottoms = zip(layer.bottom_names, layer.bottom_blobs, layer.propagate_down, strict=True)
        for name, blob, wanted in bottoms:
            if wanted:
                _log_mean("Backward", layer, f"bottom blob {name} diff", blob.diff)
        for index, blob in enumerate(layer.blobs):
            if layer.param_propagate_down[index]:
                _log_mean("Backward", layer, f"param blob {index} diff", blob.diff)

    def _log_totals(self):
        values = [entry.blob.data.ravel() for entry in self.learnable]
        diffs = [entry.blob.diff.ravel() for entry in self.learnable]
        l1 = [sum(float(abs(a).sum()) for a in arrays) for arrays in (values, diffs)]
        l2 = [sum(float(a @ a) for a in arrays) ** 0.5 for arrays in (values, diffs)]
        log.error(
            "    [Backward] All net params (data, diff): L1 norm = (%g, %g); L2 norm = (%g, %g)",
            *l1,
            *l2,
        )


def _sort_arguments(args, phase, level, stages, weights):
    """Tell Net(file, phase, level, stages, weights) from the old Net(file, weights, phase)."""
    if len(args) == 2 and isinstance(args[0], (str, os.PathLike)):
        warnings.warn(
            "Net(file, weights, phase) is the old form; use Net(file, phase, weights=weights)",
            DeprecationWarning,
            stacklevel=3,
        )
        weights, phase = args
    else:
        given = dict(zip(("phase", "level", "stages", "weights"), args, strict=False))
        phase = given.get("phase", phase)
        level = given.get("level", level)
        stages = given.get("stages", stages)
        weights = given.get("weights", weights)
    if phase not in (TRAIN, TEST):
        raise TypeError(f"phase must be caffelite.TRAIN or caffelite.TEST, not {phase!r}")
    if isinstance(stages, str):
        raise TypeError(f"stages must be a list of names, [{stages!r}], not {stages!r}")
    return phase, level, stages, weights


def _read(network):
    if isinstance(network, caffe_pb2.NetParameter):
        param = caffe_pb2.NetParameter()
        param.CopyFrom(network)
        return "", upgrade_net(param)
    return os.fspath(network), read_net(network)


def _check_count(layer, kind, allowed, count):
    least, most = (allowed, allowed) if isinstance(allowed, int) else allowed
    if count < least or (most is not None and count > most):
        if least == most:
            expected = str(least)
        else:
            expected = f"at least {least}" if most is None else f"{least} to {most}"
        raise layer.error(f"has {count} {kind}s, expected {expected}")


def _check_in_place(layer):
    for index, blob in enumerate(layer.top_blobs):
        if not layer.in_place and any(blob is b for b in layer.bottom_blobs):
            raise layer.error(
                f'top[{index}] "{layer.top_names[index]}" is its bottom, too, but with these '
                "options the layer cannot compute in place; give the top a name of its own"
            )


def _run_backward(layer):
    """A layer's backward, if it can: not all need that forward has run."""
    if layer.ran_for not in (None, _shapes(layer)):
        raise layer.error("a bottom or top has another shape than in forward; run forward first")
    try:
        layer.backward(layer.top_blobs, layer.propagate_down, layer.bottom_blobs)
    except AttributeError as problem:
        if layer.ran_for is not None:
            raise
        raise layer.error("backward needs what forward leaves; run forward first") from problem


def unread(param):
    """(path, words) of each option of a NetParameter itself that does nothing."""
    for option in given(param, only=Net.ignored):
        if len(option.path) == 1:
            name = option.path[0]
            yield option.path, f"{name} does nothing here; {Net.ignored[name]}"


def _warn_once(lines, warned):
    """Log those that are not in the set `warned`, and enter them there."""
    for line in lines:
        if line not in warned:
            log.warning("%s", line)
            warned.add(line)


def _shapes(layer):
    """Those of all its blobs: users may reshape a bottom, to go on with that, and others."""
    return [blob.shape for blob in (*layer.bottom_blobs, *layer.top_blobs, *layer.blobs)]


def _loss_weights(layer):
    """One weight per top: as given, else 1 for the only top of a loss, else 0."""
    given, tops = list(layer.param.loss_weight), len(layer.top_names)
    if given and len(given) != tops:
        raise layer.error(
            f"has {len(given)} loss_weight entries, expected none or one per top, {tops}"
        )
    if not given and layer.type.endswith("Loss") and tops:
        given = [1.0] + [0.0] * (tops - 1)
        layer.param.loss_weight.extend(given)
    return given or [0.0] * tops


def _seed_losses(layer):
    """Fill the diff of each top that counts as a loss with its weight: backward starts there."""
    for blob, weight in zip(layer.top_blobs, layer.loss_weights, strict=True):
        if weight:
            blob.diff[...] = weight


def _loss_of(layer):
    return sum(
        float(np.vdot(blob.data, blob.diff))
        for blob, weight in zip(layer.top_blobs, layer.loss_weights, strict=True)
        if weight
    )


def _adopt(layer, index, owner, sharer, spec):
    """Check a blob that shares by name against its owner, and take over options it adds."""
    same = (
        owner.blob.count == sharer.blob.count
        if spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE
        else owner.blob.shape == sharer.blob.shape
    )
    if not same:
        raise layer.error(
            f'blob {index} shares "{spec.name}" with layer "{owner.layer}" but has shape '
            f"{sharer.blob.shape}, expected {owner.blob.shape}"
        )
    log.info(
        "Sharing parameters '%s' owned by layer '%s', param index %d",
        spec.name,
        owner.layer,
        owner.index,
    )
    for option, is_given in (("lr_mult", "lr_given"), ("decay_mult", "decay_given")):
        if not getattr(sharer, is_given):
            continue
        if getattr(owner, is_given) and getattr(owner, option) != getattr(sharer, option):
            raise layer.error(
                f'blob {index} shares "{spec.name}" with layer "{owner.layer}", which has '
                f"{option} {getattr(owner, option):g}, expected the same, not "
                f"{getattr(sharer, option):g}"
            )
        setattr(owner, option, getattr(sharer, option))
        setattr(owner, is_given, True)


def _log_mean(direction, layer, what, values):
    mean = float(abs(values).mean()) if values.size else 0.0
    log.info("    [%s] Layer %s, %s: %g", direction, layer.name, what, mean)
