"""The contract of a layer, and the registry of layer types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from .. import filler, own_code, rng
from ..blob import Blob
from ..data.source import Shard
from ..errors import CaffeliteError, NetError, ProtoError, did_you_mean, place, place_of
from ..proto import blob_values, caffe_pb2, forks
from ..proto.given import Given, declared, given
from ..types import Array, DType, Shape
from .reach import HERE, Reach
from .rows import Rows

TRAIN: int = caffe_pb2.TRAIN
TEST: int = caffe_pb2.TEST

Kind = type[CaffeliteError]
AnyLayer: TypeAlias = "type[Layer]"
LayerClass = TypeVar("LayerClass", bound="type[Layer]")
Count = int | tuple[int, int | None]
"""How many bottoms or tops: a number, or the least and the most, None for no limit."""

_types: dict[str, type[Layer]] = {}
_OF_EVERY_LAYER = {"name", "type", "bottom", "top", "source_line"}  # which are no options


def register(type_name: str) -> Callable[[LayerClass], LayerClass]:
    """Class decorator: make `type: "TYPE_NAME"` in a prototxt create this class."""

    def add(layer_class: LayerClass) -> LayerClass:
        _types[type_name] = _named(layer_class, type_name)
        return layer_class

    return add


def _named(layer_class: LayerClass, type_name: str) -> LayerClass:
    """The class, with the name of its type; what is called a loss is one, if it says no role."""
    layer_class.type = type_name
    if not layer_class.role and type_name.endswith("Loss"):
        layer_class.role = "loss"
    return layer_class


def layer_types() -> dict[str, type[Layer]]:
    """{type name: class} of every registered layer, sorted by name."""
    return dict(sorted(_types.items()))


def is_known(type_name: str) -> bool:
    """Whether there is such a type, if need be in modules of users that were not asked for yet."""
    return type_name in _types or (own_code.look_for_more() and type_name in _types)


def layer_class(type_name: str) -> type[Layer]:
    """The class of a type, for its facts; of an unknown type, one that says nothing."""
    if is_known(type_name):
        return _types[type_name]
    return _named(type("Unknown", (Layer,), {}), type_name)


def layer_facts(param: caffe_pb2.LayerParameter, **context: Any) -> Layer:
    """The layer that a LayerParameter describes, not set up, for its facts; see `layer_class`."""
    known = layer_class(param.type)
    try:
        return known.for_param(param)(param, **context)
    except CaffeliteError:  # of its options, which are told of where it is set up
        return known(param, **context)


def unknown(type_name: str) -> str:
    """What to say of a type that there is not: whose it is, or names near it and the way out."""
    if fork := forks.TYPES.get(type_name):
        return (
            f'unknown type "{type_name}"; it is a type of {fork} that is not done here; a Python '
            "layer may do it"
        )
    near = did_you_mean(type_name, _types, most=3)
    words = f'unknown type "{type_name}"{near}'
    if type_name.lower() in map(str.lower, _types):
        return words
    start = " For" if near else "; for"
    return f'{words}{start} one of your own, say --import MODULE; "caffelite layers" lists all'


def create_layer(param: caffe_pb2.LayerParameter, **context: Any) -> Layer:
    """The layer that a LayerParameter describes; `context` as for `Layer`."""
    if not is_known(param.type):
        at = place_of(param, context.get("file", "")) | {"layer_type": ""}
        raise NetError(unknown(param.type), **at)
    return _types[param.type].for_param(param)(param, **context)


def _of_one_process(value: Any) -> Array:
    """`Layer.gathered` where there is one process."""
    return np.asarray(value)[None]


class Layer:
    """Base of all layers: one class is one type.

    A subclass declares facts and fills in what differs:

    options_field
        name of its message in LayerParameter; `self.options` is that message
    more_options
        names of the messages in LayerParameter that it reads beside that one
    others_options
        names of those that it does not read itself, but which others ask it for
    ignored, refused
        {option: words} of options that do nothing here (why, or what to write instead), and of
        those that are an error (a predicate, with {type} for the type's name); see `unread`, and
        `Given.look_up` for the keys. Parents' tables count, too; None takes back what they say.
        What they say nothing of, `caffelite.proto.forks` may know as a word of a fork
    infinite
        options that may be infinite, which stands for no bound; of others, no float is, and none
        is NaN
    bottoms, tops
        how many: a number, or (least, most) with None for no limit
    role
        what it is there for, where that matters to others: "source", to bring samples along;
        "dummy", to make some up; "input", to be filled by the user; "loss", a number to make
        small; "measure", a figure to be looked at; "result", an answer, with which a branch may
        end; "activation" or "middle", to stand between others, the one of them to make a net
        more than linear, and never right before a loss; "sink", to take blobs out of the net
    applies
        the type of layer that a loss is to be without, since it has the same inside: "Softmax",
        "Sigmoid". Where there are no labels, that layer takes its place. Such a layer itself
        applies its own type
    labels
        bottoms that hold the number of a class for each sample
    gives_edges
        whether its labels are those of HED's Caffe, where losses weigh edges and the rest
    finds_boxes
        whether top 0 is boxes: rows of picture, class, score, xmin, ymin, xmax, ymax, in fractions
        of the input's sides, with -1 for the class where there is none
    regions
        which bottom has regions, rows of picture, xmin, ymin, xmax, ymax in pixels, best first
    picture_sizes
        which bottom has height, width and scale of each picture
    sizes
        which top of a source holds height, width and scale of each picture, or None
    short_side
        the ShortSide by which a source resizes pictures, or None
    code_scale
        (mean, std) of each number of the codes that it normalizes, for losses to compare, or None
    boxes_per_place
        how many priors it makes at each place of a map
    picks_from
        of how many rows bottom 0 picks, by whole numbers from 0, once it is set up; 0: of none
    compares
        what a loss or measure is about: "classes", the scores in bottom 0 and the labels in
        bottom 1; "values", those in bottom 0 and the targets in bottom 1; "multilabel", the scores
        in bottom 0, of labels each by itself, and the targets, 0 or 1, in bottom 1; "boxes", those
        found, rows of bottom 0, and true ones, of bottom 1: its top 0 says which of them are right
    ignored_labels
        the labels with which a sample does not count
    pass_size
        how many samples a pass over its data has, once it is set up, or None if there are none
    drawn_for
        how many samples the order of a pass over its data is drawn for, or None where they come in
        turn
    layout
        what that order follows from beside their number, as bytes: the lengths of shards
    learns
        whether it may have blobs that a solver learns
    linear
        whether top 0 is a linear function of bottom 0, any that its size allows
    pointwise
        whether each value of the tops stands for that at the same place in the bottoms
    keeps_space
        whether each value of the tops sees of the bottoms at most what is at its place in space
        (axes from 2 on), in any channel, where both have the same space; what is pointwise does,
        unless `reach` tells otherwise
    keeps_order
        whether top 0 has the values of bottom 0 in their order, in another shape
    rows_are_steps
        whether the rows of its tops are steps, each of all samples of the batch
    rectifies
        whether it is a ReLU or of its kind: about x where x > 0, little or nothing of it elsewhere
    windows
        for a window that slides, over which of its blobs: "bottom", or "top", as it does where
        each value of the bottom is spread over a window
    drawn_as
        one of `caffelite.pictures.draw.COLORS`, where it does not follow from the role
    files
        options that name what is read from outside, a file or module, when it is set up
    in_place
        whether a top may reuse its bottom's memory, backward included
    statistics
        names of its blobs that count what it sees, and that no solver learns
    carried
        blobs whose values go on from one batch to the next, and with a snapshot
    keeps_bottom
        whether backward reads bottom 0, which in place forward overwrites
    reads_top
        what backward reads of top 0's data, which an in-place layer after it may change: "values",
        "signs" (which of them are positive), or None
    keeps_signs
        whether top 0 is positive where bottom 0 is, or else gives it no gradient, and only there
    always_reshape
        whether `reshape` runs before every forward, not only when a blob's shape changed
    takes_epilogue
        "map" or "activation" if the kernels of this layer take an `Epilogue` for what they sum up
        (with a map of the channels of axis 1, or an activation alone), else None. Then there are
        `epilogue(**activation)`, the epilogue of the layer itself with this activation,
        `forward_with(bottom, top, epilogue)`, `backward_with(top, propagate_down, bottom,
        epilogue)`, and `backward_takes_activation(propagate_down)`: whether that last one saves a
        pass over the diff
    takes_addend
        whether `forward_with` of a layer that takes an epilogue, or normalizes channels, takes an
        array like the top, too, which is added before the activation, where `adds(bottom_shape,
        top_shape)` says so
    gradient_from_top
        whether backward of an `activation` reads no more than top 0 when it works in place
    normalizes_channels, is_by_channel
        whether it is a ChannelNormalizer; whether it is a learned scale, bias or both of channels
        (axis 1), blobs `scale` and `bias`: these, too, can be an epilogue's map
    replays
        whether forward, where no backward follows, is but calls of `kernels`, the same ones as long
        as blobs have the same shapes and memory, and learnable ones the same values: a net may make
        these calls again instead. A subclass has to say so itself
    splits
        whether its tops are its bottom, whose diff is the sum of theirs, `gradients(top)`
    joins
        whether forward lays its bottoms side by side in the top. Then there are `parts(bottom,
        top)`, the part of the top's data for each bottom, and `join(bottom, top, filled)`, forward
        where the parts of these places have values already
    no_gradient
        bottoms that never get a gradient (labels): force_backward leaves them alone
    stops_gradient
        whether its tops count as given: no gradient goes through them, also where what it reads
        depends on weights
    shape_only
        bottoms of which only the shape counts: tops do not depend on what they depend on
    assigns_diff
        whether backward assigns all of a bottom's diff, unless told that it `adds_up`
    chooses
        whether forward may do without some of its bottoms, see `choose`

    Whoever runs a layer tells it what it cannot know by itself, in these attributes; a layer never
    sets them, and knows neither the net it is in nor the layers beside it:

    needs_backward
        whether backward will run: else forward can do without copies that only backward reads
    param_propagate_down
        which of its learnable blobs want a gradient, a truth value each
    adds_up
        whether backward is to add to the diff of its bottom, where `can_add(bottom_shape,
        top_shape)` says that it can
    spares_memory
        whether memory counts more than the time to have learnable blobs back: what a forward keeps
        of their values may be all that there is of these, until they are looked at
    writes
        whether forward may write files: not where a net is but looked at
    chosen
        what `choose` gave for the next forward, which a net asks for before it computes bottoms:
        those not chosen hold nothing to read, and get a gradient of 0. Empty: forward asks itself
    seed, position
        of its random numbers or data, see `random` and `seek`
    shard
        a Shard: its rank among processes that train together, and what each of them takes of the
        batches that a source gives
    gathered
        a function: what each of the processes that share a batch out calls it with, an array or
        number, along a new axis 0; where a process has the whole batch, that axis has one entry
    whole_statistics
        whether statistics of a batch are to be those of the whole batch, not of a process's part

    `setup(bottom_shapes)` runs once and makes learnable blobs; `infer_shapes(bottom_shapes)` gives
    the top shapes; `forward` and `backward` compute. A bottom's diff is assigned, a learnable
    blob's diff is added to. `self.position` counts what of a random or data stream is used up, by
    all processes that train together: they are at the same position, whatever their number, and
    `self.random()` is the generator for it.
    """

    type: str = ""
    options_field: str | None = None
    more_options: tuple[str, ...] = ()
    others_options: tuple[str, ...] = ()
    ignored: Mapping[str, str | None] = {
        "engine": "there is one engine",
    }
    refused: Mapping[str, str | None] = {
        "engine: CUDNN": "needs a GPU; write engine: CAFFE or leave the line out"
    }
    infinite: tuple[str, ...] = ()
    bottoms: Count = 1
    tops: Count = 1
    role: str = ""
    applies: str | None = None
    labels: tuple[int, ...] = ()
    gives_edges: bool = False
    finds_boxes: bool = False
    regions: int | None = None
    picture_sizes: int | None = None
    sizes: int | None = None
    short_side: Any = None
    code_scale: tuple[Array, Array] | None = None
    boxes_per_place: int = 0
    picks_from: int = 0
    compares: str | None = None
    ignored_labels: Sequence[int] = ()
    pass_size: int | None = None
    drawn_for: int | None = None
    layout: bytes = b""
    learns: bool = False
    linear: bool = False
    pointwise: bool = False
    keeps_space: bool = False
    keeps_order: bool = False
    rows_are_steps: bool = False
    rectifies: bool = False
    windows: str | None = None
    drawn_as: str | None = None
    files: tuple[str, ...] = ()
    in_place: bool = False
    statistics: tuple[str, ...] = ()
    carried: Sequence[Blob] = ()
    keeps_bottom: bool = False
    reads_top: str | None = None
    keeps_signs: bool = False
    always_reshape: bool = False
    takes_epilogue: str | None = None
    takes_addend: bool = False
    gradient_from_top: bool = False
    normalizes_channels: bool = False
    is_by_channel: bool = False
    replays: bool = False
    splits: bool = False
    joins: bool = False
    no_gradient: tuple[int, ...] = ()
    stops_gradient: bool = False
    shape_only: tuple[int, ...] = ()
    assigns_diff: bool = True
    chooses: bool = False
    needs_backward: bool = True
    adds_up: bool = False
    spares_memory: bool = False
    writes: bool = True
    chosen: Sequence[bool] = ()
    shard: Shard = Shard()
    whole_statistics: bool = False

    def __init__(
        self,
        param: caffe_pb2.LayerParameter,
        phase: int = TEST,
        dtype: DType = np.float32,
        file: str = "",
        seed: int = 0,
    ) -> None:
        self.param = param
        self.name: str = param.name
        self.phase = phase
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.file = file
        self.seed = seed
        self.position = 0
        self.blobs: list[Blob] = []
        self.blob_names: list[str] = []
        self.blob_shapes: list[Shape] = []
        self.param_propagate_down: list[bool] = []
        self.options: Any = getattr(param, self.options_field) if self.options_field else None

    # What subclasses fill in

    @classmethod
    def for_param(cls, param: caffe_pb2.LayerParameter) -> AnyLayer:
        """The class of a layer of this type with these options."""
        return cls

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        """Check options and make learnable blobs; runs once."""

    def infer_shapes(self, bottom_shapes: Sequence[Shape]) -> Sequence[Shape]:
        """The shapes of the tops; unless overridden, each that of bottom 0."""
        return [bottom_shapes[0]] * self.num_tops

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Compute the tops' data."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> None:
        """Compute the diffs of the bottoms asked for, and add to those of learnable blobs."""
        if any(propagate_down):
            raise self.error(
                "this layer type has no gradient, but backward reached it: its class needs "
                "a method backward(), or its bottoms propagate_down: false"
            )

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops their shapes; layers that share memory with a bottom arrange it here."""
        for blob, shape in zip(top, self.infer_shapes([b.shape for b in bottom]), strict=True):
            try:
                blob.reshape(*shape)
            except NetError as problem:
                raise self.error(str(problem)) from None

    def is_replayed(self) -> bool:
        """Whether its own class says that it `replays`, and forward is that of the class."""
        return "replays" in vars(type(self)) and self.replays and "forward" not in vars(self)

    def can_fill(self, bottom_shapes: Sequence[Shape], array: Array) -> bool:
        """Whether forward can fill this array, a part of a larger one, in place of its only top's.

        Of the top, a `Part` then, it may ask for `data` alone.
        """
        return False

    def can_add(self, bottom_shape: Shape, top_shape: Shape) -> bool:
        """Whether backward, of one bottom and top, may add to the bottom's diff at no cost."""
        return False

    def may_run_into(self, following: Layer) -> bool:
        """Whether it, and a layer that alone reads its only top, may run as one.

        Then both take an epilogue, and there are `plan_with(following, bottom_shape, top_shape,
        laned)`, how that is done, or None where it is no gain, and `forward_through(following,
        bottom, top, plans, epilogues)`. Of what is `laned`, see `kernels.separable.plan`.
        """
        return False

    def may_give_laned(self, bottom_shape: Shape, top_shape: Shape) -> bool:
        """Whether its only top may be laned, see `kernels.direct_turned`, at no loss.

        Then it takes an epilogue, and there is `forward_laned(bottom, top, epilogue)`.
        """
        return False

    def choose(self) -> Sequence[bool]:
        """Of each bottom, whether the next forward reads it; decided anew at each call."""
        raise NotImplementedError(f"{type(self).__name__}.choose")

    def activation(self) -> Mapping[str, Any] | None:
        """This layer as the activation of an epilogue: arguments for `Epilogue.of`; None if it
        is none, or none that kernels know."""
        return None

    @classmethod
    def coordinates(
        cls, options: Mapping[str, Any], index: int
    ) -> tuple[int | None, Any, Any] | None:
        """(axis, a, b): what is at x in bottom `index` is in the tops at a x + b.

        That is along all axes after `axis`, the channels', where None stands for any; a and b have
        one value, or one an axis. `options` is {name: value} as the text gives them. None if a
        top's places stand for none of that bottom's.
        """
        return (None, 1, 0) if cls.pointwise else None

    def reach(self, bottom: Shape, top: Shape) -> Sequence[Reach] | None:
        """What values of a top see of a bottom, by their shapes: along each axis from 2 on.

        It may be more than is true, never less; None for everything. Statistics of a batch, which
        BatchNorm takes while it trains, do not count.
        """
        here = (self.pointwise or self.keeps_space) and bottom[2:] == top[2:]
        return [HERE] * len(bottom[2:]) if here else None

    def weight_rows(self, bottom: Shape) -> Rows | None:
        """How its weights, blob 0, are rows that multiply parts of a bottom of this shape.

        None if they are not.
        """
        return None

    def bilinear(self) -> Array | None:
        """Weights with which each channel is upsampled bilinearly, by its stride; None if its
        shape is not for that."""
        return None

    def told_shapes(self) -> Sequence[Any]:
        """The tops' shapes as far as the text tells those of what it reads, or the user brings.

        0 stands for a size that is not told, ... for axes that are not. [] where forward alone
        knows, or `infer_shapes` tells all.
        """
        return []

    def stored_shape(self) -> Shape | None:
        """The shape of the samples that it reads, before they are cropped, or None; no setup."""
        return None

    def uneven_pass(self) -> str | None:
        """Why some samples come more often than others in its first pass, or None."""
        return None

    def lacks_statistics(self) -> bool:
        """Whether it goes by stored statistics, and none were stored yet."""
        return False

    def class_names(self) -> str:
        """The file with the names of the classes of its labels, or "" if there is none."""
        return ""

    def box_labels(self) -> Sequence[int]:
        """The labels of the boxes that it finds, learns or compares; the background is none."""
        return ()

    def box_code(self) -> Mapping[str, Any]:
        """What the layers of a detector have to agree on to mean the same boxes: {option: value}.

        Where its name differs from fork to fork or from layer to layer, an option has one here.
        """
        return {}

    def finder(self) -> caffe_pb2.LayerParameter | None:
        """A layer that finds the boxes which this one learns or compares, from its bottom 0."""
        return None

    @classmethod
    def join(cls, finders: Sequence[caffe_pb2.LayerParameter]) -> caffe_pb2.LayerParameter | None:
        """One layer for what several layers' `finder` gave of this type; None if there is none."""
        return finders[-1]

    def numbers_of_prior(self) -> Sequence[int] | None:
        """How many numbers of each prior its bottoms have, up to the one with the priors.

        None if it reads no priors.
        """
        return None

    def path(self, bottom_shapes: Sequence[Shape], top_shapes: Sequence[Shape]) -> str:
        """Which of several ways forward takes for these shapes; "" where there is but one."""
        return ""

    def arrange(self, shapes: Sequence[Shape]) -> list[tuple[int, Shape]]:
        """Which of the blobs that a weights file has for it are its own, in its order.

        `shapes` are those of the file; returns [(place in the file, shape to read it in)].
        """
        return list(enumerate(shapes))

    def blobs_hint(self, count: int) -> str:
        """What to say where a file has `count` blobs for it, and it has another number."""
        return ""

    def settle(self) -> str:
        """Mend values from a file that are meant otherwise than here; returns what was done."""
        return ""

    def macs(self, bottom_shapes: Sequence[Shape], top_shapes: Sequence[Shape]) -> int:
        """Multiply-adds of one forward pass."""
        return 0

    def seek(self, position: int) -> None:
        """Go to a position of the layer's random or data stream, to resume a run."""
        self.position = position

    def sample_name(self, item: int) -> str:
        """What the sample `item` of the batch that it delivered last is called, or ""."""
        return ""

    def close(self) -> None:
        """Give back files and threads; a file that was written is whole from now on."""

    def discard(self) -> None:
        """Give up what was to be written, since the run failed: half a file helps nobody."""

    def moot(self) -> Mapping[str, str]:
        """{option: words}, as `ignored`, of those that other options of this layer rule out."""
        if getattr(self.options, "bias_term", True):
            return {}
        return {f"{self.options_field}.bias_filler": "there is no bias: bias_term is false"}

    # What they can use

    def unread(self) -> Iterator[tuple[str, tuple[Any, ...], str]]:
        """(kind, path, words) of each option given that is not done.

        kind is "refused", "ignored", "passed", a word of a fork that changes no result, or
        "foreign", a message for layers of other types.
        """
        refused, ignored = declared(type(self), "refused"), declared(type(self), "ignored")
        ignored |= self.moot()
        own = {self.options_field, *self.more_options, *self.others_options}
        told: tuple[Any, ...] | None = None
        for option in given(self.param):
            if option.path[0] in _OF_EVERY_LAYER:
                continue
            inside = told is not None and option.path[: len(told)] == told
            if what := option.not_finite(infinite=option.names[-1] in self.infinite):
                yield "refused", option.path, what
            elif words := option.look_up(refused, by_name=not inside):
                words = words.format(type=self.type)
                yield "refused", option.path, f"{option.name} {words}"
            elif inside:
                continue
            elif (words := option.look_up(ignored)) is not None:
                told = option.path
                yield "ignored", told, f"{self._named(option)} does nothing here; {words}"
            elif word := forks.undone(option):
                told = option.path
                yield word.kind, told, f"{self._named(option)} {word.said}"
            elif option.path[0].endswith("_param") and option.path[0] not in own:
                told = option.path
                yield "foreign", told, f"a layer of type {self.type} does not read {told[0]}"
            elif isinstance(option.value, caffe_pb2.FillerParameter):
                for name, words in filler.unread(option.value):
                    told = *option.path, name
                    yield "ignored", told, f"{name} of {option.names[-1]} does nothing; {words}"

    def _named(self, option: Given) -> str:
        """An option's name, with that of its message where that is not this layer's own."""
        owner = option.owner
        name = forks.as_written(option.name)
        return name + (f" of {owner}" if owner not in (None, self.options_field) else "")

    def check_options(self, told: set[str] | None = None) -> list[str]:
        """Raise an error for an option that is refused; returns lines on those that do nothing.

        What a fork's word says of a whole net is in each of its layers: it is told of one, and
        noted in `told`, which the layers of a net share.
        """
        found, told = list(self.unread()), set() if told is None else told
        for kind, _, words in found:
            if kind == "refused":
                raise self.error(words)
        new = [words for kind, _, words in found if kind != "passed" or words not in told]
        told.update(words for kind, _, words in found if kind == "passed")
        return [f"{self.at}: {words}" for words in new]

    @property
    def num_tops(self) -> int:
        """Number of tops; a loss that names none has as many as it needs."""
        least = self.tops if isinstance(self.tops, int) else self.tops[0]
        return max(len(self.param.top), least if self.role == "loss" else 0)

    def check_blobs(self) -> None:
        """Raise an error if a learnable blob was given another shape than it was made with."""
        for name, blob, shape in zip(self.blob_names, self.blobs, self.blob_shapes, strict=False):
            if blob.shape != shape:
                raise self.error(
                    f"{name} has shape {blob.shape}, expected {shape}, as at setup; for another "
                    "shape, change the layer's options and build the net again"
                )

    def add_blob(
        self,
        name: str,
        shape: Sequence[int],
        fill: Any = None,
    ) -> Blob:
        """Make the next learnable blob; `fill` is a FillerParameter, a number, or None for 0.

        Values that the layer's definition brings along (`blobs`) win over the filler.
        """
        if isinstance(fill, (int, float)):
            fill = caffe_pb2.FillerParameter(type="constant", value=fill)
        index = len(self.blobs)
        given = index < len(self.param.blobs)
        try:
            blob = Blob(shape, self.dtype)
            if fill is not None and not given:
                filler.check(fill, blob.shape)
        except NetError as problem:
            raise self.error(f"{name}: {problem}") from None
        if given:
            self._take_values(blob, name, self.param.blobs[index])
        elif fill is not None:
            if fill.type != "constant" or fill.value != 0:
                seed = self.seed  # not self, which holds the blob: both go when the net does
                blob.fill_later(
                    lambda array: filler.fill(array, fill, rng.generator(seed, 1, index))
                )
        self.blobs.append(blob)
        self.blob_names.append(name)
        self.blob_shapes.append(blob.shape)
        self.param_propagate_down.append(True)
        return blob

    def _take_values(self, blob: Blob, name: str, proto: caffe_pb2.BlobProto) -> None:
        try:
            values = blob_values.of_message(proto).data
        except ProtoError as problem:
            raise self.error(f"{name}: the net file's values for it: {problem}") from None
        if values.size != blob.count:
            raise self.error(
                f"{name}: the net file brings {values.size} values for it, "
                f"expected {blob.count}, the shape {blob.shape}"
            )
        blob.assign(values)

    def random(self) -> np.random.Generator:
        """The numpy Generator for this layer at this position."""
        return rng.generator(self.seed, 0, self._drawn_at())

    def _drawn_at(self) -> int:
        return self.position + self.shard.rank * self.shard.whole_batches

    def count_draw(self) -> None:
        """Go on to the position of the next pass."""
        self.position += self.shard.size if self.shard.whole_batches else 1

    def own_random(self) -> np.random.Generator:
        """As `random`, but another one for each process that has a part of the batch."""
        own = (self.shard.rank,) if self.shard.parts > 1 else ()
        return rng.generator(self.seed, 0, self._drawn_at(), *own)

    def chances(self, shape: Shape) -> Array:
        """Numbers from 0 to below 1 for the samples of this pass, along axis 0; counts as drawn.

        Of processes that share a batch out, each gets those of its samples.
        """
        random, (rank, _, _) = self.random(), self.shard
        self.count_draw()
        return rng.rows(random, shape, rank, self.shard.parts)

    gathered: Callable[[Any], Array] = staticmethod(_of_one_process)

    def share_out(self, shard: Shard, gathered: Callable[[Any], Array] | None = None) -> None:
        """Take from now on what is of this process; raise an error if that cannot be."""
        self.shard = shard
        if gathered is not None and shard.parts > 1:
            self.gathered = gathered

    def canonical_axis(self, axis: int, num_axes: int, option: str = "axis") -> int:
        """`axis` counted from the front; negative ones count from the end."""
        if not -num_axes <= axis < num_axes:
            expected = f"{-num_axes} to {num_axes - 1}" if num_axes else "a bottom that has axes"
            raise self.error(
                f"{option}: {axis} is out of range for a bottom with {num_axes} axes, "
                f"expected {expected}"
            )
        return axis % num_axes

    @property
    def at(self) -> str:
        """How messages name this layer: FILE:LINE: layer "NAME" (TYPE)."""
        return place(**self._place)

    @property
    def _place(self) -> dict[str, Any]:
        return place_of(self.param, self.file) | {"layer": self.name, "layer_type": self.type}

    def error(
        self, text: str, kind: Kind = NetError, blob: str = "", item: int | None = None
    ) -> CaffeliteError:
        """The exception for a mistake at this layer, and perhaps at the blob of this name.

        `item` is the sample of the batch in that blob that it is about: who runs the net knows
        which one that is.
        """
        return kind(text, **self._place, blob=blob, item=item)

    def shape_error(self, index: int, shape: Sequence[int], expected: str) -> CaffeliteError:
        """The exception for a bottom of the wrong shape."""
        name = self.param.bottom[index]
        words = f'bottom[{index}] "{name}" has shape {tuple(shape)}, expected {expected}'
        return self.error(words, blob=name)
