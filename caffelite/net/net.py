"""Net: nodes wired by the names of their blobs; forward, backward, weights."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .. import layers as _layers  # noqa: F401  (registers all types)
from .. import rng
from ..blob import Blob
from ..errors import NetError
from ..layers.base import Layer, create_layer
from ..proto import forks
from ..proto.caffe_pb2 import LayerParameter, NetParameter
from ..proto.given import given
from ..types import Array, ArrayLike, DType, Path, Shape
from . import aligned, batches, given_values, memory, passes, transfer, unsaid, weights
from .arguments import read_network, sort_arguments
from .code_scale import Scale, scales_of
from .diff_sums import DiffSums
from .inner_names import InnerNames
from .learnable import Learnable, LearnableBlobs
from .left_out import LeftOut
from .node import Node
from .old_calls import OldCalls
from .plan import plan_backward
from .replay import Replay
from .running import Running
from .schedule import Schedule
from .step import Step
from .weights import check_weights
from .wiring import Wiring, check_in_place, unread_tops

log = logging.getLogger("caffelite")


class Net(Running, InnerNames, OldCalls):
    """A net, built from a prototxt file or a NetParameter.

    Parameters
    ----------
    network_file : path of a prototxt, or a NetParameter
    phase : TRAIN or TEST
    level, stages : further parts of the state that layers' include and exclude rules ask for
    weights : file to load, .caffemodel or HDF5
    dtype : float32, or float64 for numerical checks
    seed : of fillers, dropout and data order; by default from `set_random_seed`

    Attributes
    ----------
    nodes : a Node for each layer: the layer, and the blobs that it reads and makes
    layers, blobs : the layers; {name: blob}
    inputs, outputs : names of the blobs of Input layers, and of those that no layer reads
    learnable : a Learnable for each learnable blob that owns its values
    gradients_are_final : false where further passes are to add to the gradients of the next one,
        as with iter_size: `on_gradients_ready` waits for the last

    Net(file, weights, phase) and Net(file, weights) work too, as in old pycaffe.
    """

    name: str
    file: str
    phase: int
    dtype: np.dtype[Any]
    debug_info: bool
    nodes: list[Node]
    blobs: OrderedDict[str, Blob]
    inputs: list[str]
    outputs: list[str]

    def __init__(
        self,
        network_file: Path | NetParameter,
        *args: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: Path | None = None,
        dtype: DType = np.float32,
        seed: int | None = None,
    ) -> None:
        phase, level, stages, weights = sort_arguments(args, phase, level, stages, weights)
        self.file, param = read_network(network_file)
        if weights is not None:
            check_weights(weights)
        param.state.phase = phase
        param.state.level = level
        param.state.stage.extend(stages or [])
        self._build(param, np.dtype(dtype), rng.next_seed() if seed is None else seed, set())
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(
        cls,
        param: NetParameter,
        file: Path = "",
        dtype: DType = np.float32,
        seed: int | None = None,
        warned: set[str] | None = None,
        frozen: Collection[str] = (),
    ) -> Net:
        """The net of a NetParameter that brings its own `state`; `file` is for messages.

        `warned`, a set, holds what need not be said again, and gets what is said now. Layers named
        in `frozen` do not learn, whatever lr_mult they have.
        """
        net = cls.__new__(cls)
        net.file = os.fspath(file)
        seed = rng.next_seed() if seed is None else seed
        net._build(param, np.dtype(dtype), seed, set() if warned is None else warned, frozen)
        return net

    # Construction

    def _build(
        self,
        param: NetParameter,
        dtype: np.dtype[Any],
        seed: int,
        warned: set[str],
        frozen: Collection[str] = (),
    ) -> None:
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"a net computes in float32 or float64, not in {dtype}")
        at = f"{self.file}: " if self.file else ""
        _warn_once([f"{at}{words}" for _, words in unread(param)], warned)
        written = aligned.with_offsets(passes.filter_layers(param, self.file), self.file)
        param = passes.insert_splits(written, self.file)
        self.name, self.phase, self.dtype = param.name, param.state.phase, dtype
        self.debug_info = param.debug_info
        self.nodes, self._learnable = [], LearnableBlobs()
        self._start_calls()
        self._values = 0  # of the tops so far, those in place counted again
        wiring, lr_mults = Wiring(dtype), []
        self.blobs = wiring.blobs
        for index, layer_param in enumerate(param.layer):
            seed_of_layer = rng.derive(seed, index)
            mults = self._add_layer(layer_param, wiring, seed_of_layer, warned)
            lr_mults.append([0.0] * len(mults) if layer_param.name in frozen else mults)

        def shape_of(place: int, k: int) -> Shape:
            return self.blobs[written.layer[place].bottom[k]].shape

        _warn_once(unsaid.warnings(written, self.file, shape_of), warned)
        self._plan(lr_mults, param.force_backward)
        self._learnable.freeze(frozen)
        self._learnable.share_named(self.layers)
        self._left_out = LeftOut(self.nodes)
        self._schedule, self._replay = Schedule(self.nodes), Replay()
        self._data_sets: list[set[Blob]] = []  # once they are to share memory
        self._kept: frozenset[str] | None = None  # names of the blobs that do not, then
        self._diff_sums = DiffSums()
        self.inputs = [
            n for node in self.nodes if node.layer.role == "input" for n in node.top_names
        ]
        self.outputs = unread_tops(self.nodes)
        for name in self.outputs:
            log.info("This network produces output %s", name)
        log.info("Network initialization done.")

    def _add_layer(
        self, param: LayerParameter, wiring: Wiring, seed: int, warned: set[str]
    ) -> list[float]:
        """Create, wire and set up one layer; returns the lr_mult of its blobs, as the file has it.

        A layer may add specs of its own (BatchNorm freezes its statistics); those do not count
        for what runs backward.
        """
        if not param.HasField("phase"):
            param.phase = self.phase
        layer = create_layer(param, phase=param.phase, dtype=self.dtype, file=self.file, seed=seed)
        log.info("Creating Layer %s", layer.name)
        _warn_once(layer.check_options(warned), warned)  # may tell why bottoms are not as expected
        node = wiring.connect(layer)
        log.info("Setting up %s", layer.name)
        lr_mults = [spec.lr_mult for spec in param.param]
        layer.setup([blob.shape for blob in node.bottom_blobs])
        check_in_place(node)
        self.nodes.append(node)
        node.reshape()
        node.weigh()
        self._log_tops(node)
        self._learnable.add(layer)
        if param.blobs and (mended := layer.settle()):
            _warn_once([f"{layer.at}: {mended}"], warned)
        param.ClearField("blobs")
        return (lr_mults + [1.0] * len(layer.blobs))[: len(layer.blobs)]

    def _log_tops(self, node: Node) -> None:
        for blob, weight in zip(node.top_blobs, node.loss_weights, strict=True):
            log.info("Top shape: %s(%d)", "".join(f"{dim} " for dim in blob.shape), blob.count)
            if weight:
                log.info("    with loss weight %g", weight)
            self._values += blob.count
        log.info("Memory required for data: %d", self._values * self.dtype.itemsize)

    def _plan(self, lr_mults: list[list[float]], force: bool) -> None:
        needed, bottoms = plan_backward(self.nodes, lr_mults, force)
        for node, need, wants, mults in zip(self.nodes, needed, bottoms, lr_mults, strict=True):
            node.plan(need, wants, [force or lr != 0 for lr in mults])
        for node in reversed(self.nodes):
            verb = "needs" if node.needs_backward else "does not need"
            log.info("%s %s backward computation.", node.layer.name, verb)

    # Looking things up

    @property
    def steps(self) -> Sequence[Step]:
        """What a pass through the net runs, in order: Steps of one node each, or of several."""
        return self._schedule.steps

    @cached_property
    def layers(self) -> list[Layer]:
        """All layers, in order."""
        return [node.layer for node in self.nodes]

    @property
    def learnable(self) -> list[Learnable]:
        """A Learnable for each learnable blob that owns its values."""
        return self._learnable.entries

    def owner_of(self, blob: Blob) -> Blob:
        """The blob whose values a learnable blob uses; itself, unless it shares by name."""
        return self._learnable.owner_of(blob)

    @cached_property
    def params(self) -> OrderedDict[str, list[Blob]]:
        """{layer name: [its learnable blobs]}, for the layers that have any."""
        return OrderedDict((ly.name, ly.blobs) for ly in self.layers if ly.blobs)

    @cached_property
    def layer_dict(self) -> OrderedDict[str, Layer]:
        """{layer name: layer}."""
        return OrderedDict((layer.name, layer) for layer in self.layers)

    @cached_property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """{layer name: [names of its tops]}."""
        return OrderedDict((node.layer.name, node.top_names) for node in self.nodes)

    @cached_property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """{layer name: [names of its bottoms]}."""
        return OrderedDict((node.layer.name, node.bottom_names) for node in self.nodes)

    @cached_property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """{blob name: its weight in the loss}."""
        found = OrderedDict.fromkeys(self.blobs, 0.0)
        for node in self.nodes:
            for name, weight in zip(node.top_names, node.loss_weights, strict=True):
                found[name] = weight or found[name]
        return found

    def _repr_html_(self) -> str:
        """A picture and a table, for Jupyter."""
        from ..pictures.notebook import net_page

        return net_page(self)

    # Running

    def forward(
        self,
        blobs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: ArrayLike,
    ) -> dict[str, Array]:
        """Run layers `start` to `end` (names, both included); returns {output name: array}.

        Keyword arguments set the net's inputs first; the net is reshaped where another batch size
        is all that they differ in. The arrays are views that the next forward overwrites; `blobs`
        names more of them to return. Layers that a pass leaves out (Eltwise,
        operation: STOCHASTIC_SUM) run if what they give is returned. What is left out is chosen
        anew by passes that start before it; others go on with what the last one chose.
        """
        first, last = self._index(start, 0), self._index(end, len(self.nodes) - 1)
        given_values.set_all(self, "forward", "inputs", "data", kwargs)
        names = self.nodes[last].top_names if end is not None else self.outputs
        asked = [*(blobs or [])]
        if self._kept is not None and not self._kept.issuperset(asked):
            self._keep_from_now_on(asked, self.nodes[first : last + 1])
        names = [*names, *asked]
        self._forward(first, last, asked=names)
        return {name: self.blobs[name].data for name in names}

    def backward(
        self,
        diffs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: ArrayLike,
    ) -> dict[str, Array]:
        """Run backward from layer `start` (default: the last) to `end` (the first).

        Keyword arguments set the diffs of the net's outputs first. Returns {input name: diff}.
        """
        last, first = self._index(start, len(self.nodes) - 1), self._index(end, 0)
        given_values.set_all(self, "backward", "outputs", "diff", kwargs)
        self._backward(last, first)
        names = self.nodes[first].bottom_names if end is not None else self.inputs
        return {name: self.blobs[name].diff for name in [*names, *(diffs or [])]}

    def forward_all(
        self, blobs: Iterable[str] | None = None, **kwargs: ArrayLike
    ) -> dict[str, Array]:
        """Run any number of samples through the net, batch by batch.

        Keyword arguments give the inputs; the batch size is axis 0 of the net's first blob. Returns
        {output name: values for all samples}, copies; `blobs` names more of them to return.
        """
        given_values.check_names("forward_all", kwargs, self.inputs)
        return batches.forward_all(self, blobs, kwargs)

    def forward_backward_all(
        self,
        blobs: Iterable[str] | None = None,
        diffs: Iterable[str] | None = None,
        **kwargs: ArrayLike,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """As forward_all, then backward; keyword arguments give inputs and diffs of outputs.

        Returns ({output name: values}, {input name: diffs}), for all samples.
        """
        given_values.check_names("forward_backward_all", kwargs, [*self.inputs, *self.outputs])
        return batches.forward_backward_all(self, blobs, diffs, kwargs)

    def set_input_arrays(self, data: ArrayLike, labels: ArrayLike) -> None:
        """Let the net's first layer, a MemoryData, serve these arrays; see its `set_arrays`."""
        first = self.layers[0]
        if not hasattr(first, "set_arrays"):
            raise first.error("set_input_arrays needs a net whose first layer is a MemoryData")
        first.set_arrays(data, labels)

    def _index(self, name: str | None, default: int) -> int:
        """The index of the layer `name`; `default` if that is None."""
        if name is None:
            return default
        if name not in self.layer_dict:
            raise ValueError(f'the net has no layer "{name}"')
        return self._layer_names.index(name)

    def forward_backward(self) -> float:
        """One forward and one backward of the whole net; returns the loss."""
        last = len(self.nodes) - 1
        loss = self._forward(0, last)
        self._backward(last, 0)
        return loss

    def reshape(self) -> None:
        """Pass changed shapes on through the net without computing."""
        for node in self.nodes:
            node.refresh()

    def economize(self, forward_only: bool = False, keep: Iterable[str] = ()) -> None:
        """Let what is never needed at the same time use the same memory.

        From now on diffs of blobs, and with `forward_only` their data instead, hold what they
        should only while the net runs, and where several layers read a blob, what these give may
        be added up as they run; inputs, outputs, learnable blobs, and those of the names
        `keep` stay as they are. With `forward_only`, so do those that `forward` is asked for, from
        then on.
        """
        kept = {*self.inputs, *self.outputs, *keep}
        if forward_only:
            self._share_data(kept)
        else:
            if not self.debug_info:  # whose lines tell the diff of each reader's bottom
                self._diff_sums.find(self.nodes, self._schedule.steps, kept)
            memory.share_diffs(self.nodes, kept)
            self._schedule.show_diffs(kept)

    def _keep_from_now_on(self, names: Collection[str], run: Sequence[Node]) -> None:
        """Let blobs of these names not share memory; the pass about to come runs these nodes."""
        assert self._kept is not None
        needed = memory.needed_by(run)
        there = self._kept.union(needed, *(node.top_names for node in run))
        for name in names:
            if name in self.blobs and name not in there:
                first = run[0].layer.name
                raise NetError(
                    f'blob "{name}" is not made from layer "{first}" on; others use its memory: '
                    f'economize(forward_only=True, keep=["{name}"]) keeps it, and so does a pass '
                    "that makes it and is asked for it",
                    blob=name,
                )
        self._share_data(self._kept.union(names, needed), needed)

    def _share_data(self, kept: Collection[str], needed: Collection[str] = ()) -> None:
        """Economize for forward only; what is `needed` keeps its values even now."""
        for node in self.nodes:
            node.plan_no_backward()
        self._schedule.rejoin()
        # without backward, and where blobs are not looked at, more layers can run as one
        self._schedule, self._replay = Schedule(self.nodes, hides=True, shown=kept), Replay()
        self._data_sets = self._data_sets or memory.sets_of_data(self.nodes)
        stay = [[b for name, b in self.blobs.items() if name in some] for some in (needed, kept)]
        memory.part_data(self._data_sets, *stay)
        memory.share_data(self._schedule.steps, kept)
        self._kept = frozenset(kept)

    def clear_param_diffs(self) -> None:
        """Set the diffs of all learnable blobs to 0."""
        for entry in self.learnable:
            if entry.blob.diff_allocated:
                entry.blob.diff[...] = 0

    def only_look(self) -> None:
        """From now on forward leaves all files alone: layers that write write nothing."""
        for layer in self.layers:
            layer.writes = False

    def close(self) -> None:
        """Stop the threads of data layers, close files, and put those written in their places."""
        for layer in self.layers:
            layer.close()

    def discard(self) -> None:
        """Leave no file of those that layers write: what they hold so far is not all."""
        for layer in self.layers:
            layer.discard()

    def reseed(self, seed: int) -> None:
        """Give all layers the random streams that a net built with `seed` has."""
        for index, layer in enumerate(self.layers):
            layer.seed = rng.derive(seed, index)

    # Weights

    def copy_from(self, path: Path, missing: str = transfer.WARN) -> transfer.Transfer:
        """Load weights, .caffemodel or HDF5, into the layers of the same names.

        `path` may be several files, separated by commas. Returns a table of what was copied, what
        was not, and why. Where layers have no values of a file, `missing` tells what to do: "warn";
        "refuse", raise an error; "report", in the table alone, as is meant for fine-tuning.
        """
        if missing not in transfer.MISSING:
            raise ValueError(f"missing: expected one of {transfer.MISSING}, not {missing!r}")
        return weights.copy_from(self, path, missing)

    @cached_property
    def code_scales(self) -> dict[Blob, Scale]:
        """What files hold of blobs that predict normalized codes, see `code_scale`."""
        return scales_of(self)

    def mark_filled(self, blobs: Iterable[Blob]) -> None:
        """Take note that these blobs have values of a file or another net."""
        self._learnable.mark_filled(blobs)

    def unfilled_layers(self, coming: Iterable[Blob] = ()) -> list[tuple[Layer, list[Blob]]]:
        """[(layer, those of its learnable blobs with values of no file or other net)].

        The blobs `coming` are about to have some.
        """
        return self._learnable.unfilled(self.layers, coming)

    def share_with(self, other: Net) -> None:
        """Use the weights of another net's layers of the same names, without copying."""
        self.mark_filled(weights.share_layers(self, other))

    def save(self, path: Path, diff: bool = False) -> None:
        """Write the weights as a .caffemodel."""
        weights.save_binary(self, path, diff)

    def save_hdf5(self, path: Path, diff: bool = False) -> None:
        """Write the weights as HDF5."""
        weights.save_hdf5(self, path, diff)

    def load_hdf5(self, path: Path) -> transfer.Transfer:
        """Load weights from HDF5; returns a table, as `copy_from`."""
        return weights.load_hdf5(self, path)


def unread(param: NetParameter) -> Iterator[tuple[tuple[Any, ...], str]]:
    """(path, words) of each option of a NetParameter itself that does nothing."""
    own = set(param.DESCRIPTOR.fields_by_name) - {"layer", "layers"}
    for option in given(param, only=own):
        if len(option.path) == 1 and (word := forks.undone(option)):
            yield option.path, f"{option.path[0]} {word.said}"


def _warn_once(lines: Iterable[str], warned: set[str]) -> None:
    """Log those that are not in the set `warned`, and enter them there."""
    for line in lines:
        if line not in warned:
            log.warning("%s", line)
            warned.add(line)
