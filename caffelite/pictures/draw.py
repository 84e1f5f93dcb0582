"""NetParameter -> Graphviz text: a box per layer, in-place layers stacked below their producer."""

import html
from collections import Counter
from dataclasses import dataclass, field

from ..proto import caffe_pb2
from . import fold as folds

_FONT = "Helvetica,Arial,sans-serif"
_LONGEST = 48  # characters of a name that are shown

COLORS = {  # what layers are drawn as: (fill, border)
    "data": ("#e3e8ee", "#8a98a8"),
    "loss": ("#f9dcdc", "#c96f6f"),
    "convolution": ("#d6e6f7", "#6f9fcf"),
    "pooling": ("#fbe6cc", "#d9a05b"),
    "dense": ("#e5dcf4", "#9a83c6"),
    "normalization": ("#d5efee", "#62b1ac"),
    "activation": ("#e2f2d9", "#86b86b"),
    "boxes": ("#f5dcef", "#bf77ab"),
    "other": ("#f4f2e6", "#b5ad83"),
}
_OF_ROLE = {
    **dict.fromkeys(("source", "dummy", "input"), "data"),
    **dict.fromkeys(("loss", "measure"), "loss"),
    "activation": "activation",
}
_PHASE_COLORS = {"TRAIN": "#b3540a", "TEST": "#0a6a74"}
_EDGE_COLOR = "#5b6673"
_WRONG = "#c00000"
_FOLD_COLOR = "#1a66c4"
_FAR = 15  # layers, from which on a label's edges are cut


@dataclass
class LayersOfPhase:
    """What a net consists of in one phase; `shapes` and `learnable` as far as they are known."""

    phase: str
    layers: list  # indices into NetParameter.layer
    shapes: dict = field(default_factory=dict)  # (layer index, top index): shape
    learnable: dict = field(default_factory=dict)  # layer index: number of values, None: unknown


def dot_text(net, phases=None, rankdir="TB", shapes=True, display_lrm=False, fold=None):
    """The Graphviz source of a picture of `net`.

    Parameters
    ----------
    net : NetParameter, upgraded, neither filtered nor with splits
    phases : a LayersOfPhase for each phase that is drawn into one picture; by default all layers
    rankdir : where the data flows: TB, BT, LR or RL
    shapes : whether edges tell the shapes of the blobs
    display_lrm : whether layers with a weight and a bias tell their lr_mult
    fold : what is drawn as one box: "repeats", "scopes", "fewest" for that of these which leaves
        fewer boxes, or None
    """
    drawn = phases or [LayersOfPhase("", list(range(len(net.layer))))]
    graph = _Graph(net, drawn, shapes, display_lrm, fold)
    lines = [
        f"digraph {_quoted(net.name or 'net')} {{",
        f"  rankdir={rankdir}; nodesep=0.35; ranksep=0.38; bgcolor=white; pad=0.2;",
        f'  fontname="{_FONT}"; labelloc=t; label=<{graph.title()}>;',
        f'  node [fontname="{_FONT}", fontsize=12, shape=plain];',
        f'  edge [fontname="{_FONT}", fontsize=9, fontcolor="{_EDGE_COLOR}", '
        f'color="{_EDGE_COLOR}", arrowsize=0.6, penwidth=1.1];',
        *graph.nodes(),
        *graph.edges(),
        "}",
    ]
    return "\n".join(lines) + "\n"


class _Graph:
    """The layers of all phases with their wiring: who is stacked on whom, who reads what."""

    def __init__(self, net, phases, shapes, display_lrm, fold):
        self.net, self.drawn = net, phases
        self.with_shapes, self.with_lrm = shapes, display_lrm
        self.phases = {}  # layer index: the phases that it is in
        below = {}  # layer index: per phase, the layer that it may stand below, or None
        readings = [reading for part in phases for reading in self._wire(part, below)]
        self.stack_of = self._stack(below)  # layer index: the first layer of its stack
        self.wires = {}  # (stack or None, blob name, reader or None, bottom): {phase: shape}
        for phase, source, name, reader, j, shape in readings:
            tail = None if source is None else self.stack_of[source]
            self.wires.setdefault((tail, name, reader, j), {})[phase] = shape
        self.far = self._far()
        self.stacks = {}  # the first layer of each stack: its layers
        for index in sorted(self.phases):
            self.stacks.setdefault(self.stack_of[index], []).append(index)
        self.node_of = {root: f"n{root}" for root in self.stacks}
        self.folded = self._fold(fold)  # {node: (Fold, its layers)}
        self.pills = {}  # node: (label, color)
        self.arrows = {}  # (tail node, head node, bottom, blob name): {phase: shape}
        self._connect()

    def _wire(self, part, below):
        """Follow the blobs through one: (phase, source, blob name, reader, bottom, shape).

        The source is None for a blob that nobody produces, the reader for one that nobody reads.
        """
        writer, read = {}, set()
        for index in part.layers:
            layer = self.net.layer[index]
            self.phases.setdefault(index, []).append(part.phase)
            for j, name in enumerate(layer.bottom):
                source = writer.get(name)
                read.add(source)
                yield part.phase, source and source[0], name, index, j, part.shapes.get(source)
            below.setdefault(index, set()).add(self._stacks_on(layer, writer))
            writer.update({name: (index, k) for k, name in enumerate(layer.top)})
        for name, source in writer.items():
            if source not in read:
                yield part.phase, source[0], name, None, 0, part.shapes.get(source)

    def _stacks_on(self, layer, writer):
        """The producer of the only blob of an in-place layer, if it is the only top there."""
        if list(layer.bottom) != list(layer.top) or len(layer.top) != 1:
            return None
        producer = writer.get(layer.bottom[0], (None, 0))[0]
        alone = producer is not None and len(self.net.layer[producer].top) == 1
        return producer if alone else None

    def _stack(self, below):
        stack_of = {}
        for index in sorted(self.phases):
            stacks = {stack_of.get(layer) for layer in below[index]}
            agreed = stacks.pop() if len(stacks) == 1 else None
            stack_of[index] = index if agreed is None else agreed
        return stack_of

    def _fold(self, how):
        """Let stacks that are drawn as one have the same node."""
        roots = list(self.stacks)
        place = {root: at for at, root in enumerate(roots)}
        boxes = [[self.net.layer[index] for index in members] for members in self.stacks.values()]
        wires = [
            folds.Edge(place[tail], place[self.stack_of[reader]], name, (tail, name) in self.far)
            for tail, name, reader, _ in self.wires
            if None not in (tail, reader) and self.stack_of[reader] != tail
        ]
        folded = {}
        for fold in folds.chosen(how, boxes, wires):
            inside = roots[fold.first : fold.first + fold.period * fold.count]
            node = f"f{inside[0]}"
            self.node_of.update(dict.fromkeys(inside, node))
            folded[node] = fold, [index for root in inside for index in self.stacks[root]]
        return folded

    def title(self):
        known = [part.learnable for part in self.drawn if None not in part.learnable.values()]
        counts = {sum(learnable.values()) for learnable in known if any(learnable.values())}
        lines = [f'<FONT POINT-SIZE="18"><B>{_text(self.net.name or "net")}</B></FONT>']
        if counts:
            total = f"{max(counts):,} learnable values"
            lines.append(f'<FONT POINT-SIZE="11" COLOR="{_EDGE_COLOR}">{total}</FONT>')
        return "<BR/>".join([*lines, " "]) + "<BR/>"

    # Nodes

    def nodes(self):
        for root, members in self.stacks.items():
            if self.node_of[root] not in self.folded:
                yield _table(f"n{root}", "".join(self._cell(index) for index in members))
        for node, (fold, members) in self.folded.items():
            yield _table(node, self._folded_cell(fold, members))
        yield from (
            f'  {node} [shape=box, style=rounded, height=0.3, color="{color}", label=<{label}>];'
            for node, (label, color) in self.pills.items()
        )

    def _cell(self, index):
        layer = self.net.layer[index]
        fill, border = COLORS[kind(layer.type)]
        everywhere = [part.phase for part in self.drawn]
        first = (
            f"<B>{_text(layer.name)}</B>&nbsp; "
            f"<FONT COLOR='#4d5660'>{_text(layer.type)}</FONT>"
            f"{self._mark(self.phases[index], everywhere)}"
        )
        told = facts(layer)
        learnable = max((part.learnable.get(index) or 0 for part in self.drawn), default=0)
        if learnable:
            told.append(f"{learnable:,} learnable")
        if self.with_lrm and has_weight_and_bias(layer.type):
            told.append("lr_mult {:g}, {:g}".format(*lr_mults(layer)))
        if told:
            first = (
                "<TABLE BORDER='0' CELLBORDER='0' CELLSPACING='0' CELLPADDING='2'>"
                f"<TR><TD>{first}</TD></TR><TR><TD>{_small(' · '.join(told))}</TD></TR></TABLE>"
            )
        return f"<TR><TD BGCOLOR='{fill}' COLOR='{border}'>{first}</TD></TR>"

    def _folded_cell(self, fold, members):
        """What a fold stands for: the names of its blocks, and how many layers of which types."""
        shown = [f"<B>{_text(fold.title())}</B>"]
        if fold.count > 1:
            shown += map(_small, folds.in_lines(fold.names))
        types = Counter(self.net.layer[index].type for index in members).most_common()
        shown += map(_small, folds.in_lines([f"{count} {kind}" for kind, count in types]))
        learnable = max(
            (sum(part.learnable.get(index) or 0 for index in members) for part in self.drawn),
            default=0,
        )
        told = f"{len(members)} layers" + (f" · {learnable:,} learnable" if learnable else "")
        rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in [*shown, _small(told)])
        return (
            f"<TR><TD BORDER='2' BGCOLOR='#ffffff' COLOR='{_FOLD_COLOR}'><TABLE BORDER='0' "
            f"CELLBORDER='0' CELLSPACING='0' CELLPADDING='1'>{rows}</TABLE></TD></TR>"
        )

    def _mark(self, phases, everywhere):
        """ " TRAIN" or " TEST" in its colour, for what is not in all phases drawn."""
        if set(phases) == set(everywhere):
            return ""
        return "".join(
            f"&nbsp; <FONT COLOR='{_PHASE_COLORS.get(p, _EDGE_COLOR)}' POINT-SIZE='9'>"
            f"<B>{_text(p)}</B></FONT>"
            for p in phases
        )

    # Edges

    def _connect(self):
        """Turn wires into arrows, and into pills: small nodes that hold a blob's name.

        Blobs that nobody reads end in one. Labels that are read far away are cut: one pill where
        they come from, one at each reader. All edges drawn, they would hide the rest.
        """
        for (tail, name, reader, j), by_phase in self.wires.items():
            head = None if reader is None else self.node_of[self.stack_of[reader]]
            if tail is None:
                pill = self._pill(
                    f"m{reader}_{j}", f"{_text(name)}<BR/>(nobody produces it)", _WRONG
                )
                self._arrow(pill, head, j, by_phase)
            elif reader is None or (tail, name) in self.far:
                mark = self._mark(by_phase, self.phases[tail])
                k = list(self.net.layer[tail].top).index(name)
                pill = self._pill(f"o{tail}_{k}", _text(name) + mark)
                self._arrow(self.node_of[tail], pill, 0, by_phase)
                if reader is not None:
                    of = f"{head}_{tail}_{k}" if head in self.folded else f"{reader}_{j}"
                    pill = self._pill(f"i{of}", _text(name))
                    self._arrow(pill, head, j, by_phase)
            elif self.stack_of[reader] != tail and self.node_of[tail] != head:
                layer = self.net.layer[tail]
                clear = len(layer.top) == 1 and name == layer.name
                j = 0 if head in self.folded else j
                self._arrow(self.node_of[tail], head, j, by_phase, None if clear else name)

    def _far(self):
        """{(tail, name)} of blobs that are not drawn as edges."""
        return {
            (tail, name)
            for tail, name, reader, _ in self.wires
            if None not in (tail, reader)
            and len(self.net.layer[tail].top) > 1
            and reader - tail > _FAR
        }

    def _pill(self, node, label, color=None):
        self.pills[node] = label, color or _EDGE_COLOR
        return node

    def _arrow(self, tail, head, j, by_phase, name=None):
        self.arrows.setdefault((tail, head, j, name), {}).update(by_phase)

    def edges(self):
        for (tail, head, _, name), by_phase in self.arrows.items():
            shape = _shape(by_phase.values()) if self.with_shapes else ""
            label = " ".join(filter(None, (name is not None and _text(name), shape)))
            options = f"label=< {label} >" if label else 'label=""'
            if len(by_phase) < len(self.drawn):
                color = _PHASE_COLORS.get(next(iter(by_phase)), _EDGE_COLOR)
                options += f', style=dashed, color="{color}"'
            yield f"  {tail} -> {head} [{options}];"


def _table(node, rows):
    return (
        f"  {node} [label=<<TABLE BORDER='0' CELLBORDER='1' CELLSPACING='0' "
        f"CELLPADDING='6'>{rows}</TABLE>>];"
    )


def _small(words):
    return f"<FONT POINT-SIZE='10' COLOR='#4d5660'>{_text(words, 80)}</FONT>"


def lr_mults(layer):
    """(lr_mult of the weight, of the bias) of a layer that has both."""
    given = [spec.lr_mult for spec in layer.param][:2]
    return tuple(given + [1.0] * (2 - len(given)))


def _shape(shapes):
    """ "64×20×24×24"; an axis in which the phases differ is N."""
    shapes = {shape for shape in shapes if shape is not None}
    if len({len(shape) for shape in shapes}) != 1:
        return ""
    axes = (str(dims[0]) if len(set(dims)) == 1 else "N" for dims in zip(*shapes, strict=True))
    return "×".join(axes) or "scalar"


def kind(layer_type):
    """What a layer type is drawn as, a key of `COLORS`."""
    found = _class_of(layer_type)
    return found.drawn_as or _OF_ROLE.get(found.role, "other")


def has_weight_and_bias(layer_type):
    """Whether it learns weights and, if its options do not say otherwise, a bias."""
    found = _class_of(layer_type)
    return found.learns and {"weight_filler", "bias_term"} <= set(option_names(found))


def option_names(layer_class):
    """The names of the options in the message of a layer type."""
    field = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name.get(layer_class.options_field)
    return list(field.message_type.fields_by_name) if field else []


def _class_of(layer_type):
    from ..layers import layer_class  # takes a second, and nobody else here needs it

    return layer_class(layer_type)


def facts(layer):
    """What of a layer's options is worth showing, in Caffe's words."""
    boxes = _class_of(layer.type)(layer).boxes_per_place
    found = [f"{boxes} boxes a place"] if boxes else []
    for descriptor, options in layer.ListFields():
        if descriptor.name in ("convolution_param", "deconvolution_param", "pooling_param"):
            found += _window_facts(options)
        elif descriptor.name == "inner_product_param":
            found.append(f"{options.num_output} outputs")
        elif descriptor.name.endswith("_param") and descriptor.name not in _COMMON:
            found += _plain_facts(options)
    return found[:5]


_COMMON = ("transform_param", "loss_param", "input_param", "dummy_data_param")


def _window_facts(options):
    """Of a convolution or pooling: how, window, number of outputs, then stride, pad, ..."""
    facts = []
    kernel = _size(options, "kernel", "kernel_size")
    if hasattr(options, "num_output"):
        facts += [kernel] * bool(kernel) + [f"{options.num_output} outputs"]
    else:
        method = options.DESCRIPTOR.fields_by_name["pool"].enum_type.values_by_number[options.pool]
        facts.append(f"{method.name} {'global' if options.global_pooling else kernel}".strip())
    for name, usual in (
        ("stride", "1"),
        ("pad", "0"),
        ("dilation", "1"),
        ("hole", "1"),
        ("group", "1"),
    ):
        value = _size(options, name, name)
        if value and set(value.split("×")) != {usual}:
            facts.append(f"{name} {value}")
    return facts


def _size(options, stem, name):
    """ "5×3": an option that is given as one number, as one per axis, or as _h and _w."""
    fields = options.DESCRIPTOR.fields_by_name
    if f"{stem}_h" in fields and (options.HasField(f"{stem}_h") or options.HasField(f"{stem}_w")):
        return f"{getattr(options, stem + '_h')}×{getattr(options, stem + '_w')}"
    if name not in fields:
        return ""
    value = getattr(options, name)
    values = list(value) if hasattr(value, "append") else [value] if options.HasField(name) else []
    if name == "kernel_size" and len(values) == 1:
        values *= 2
    return "×".join(map(str, values))


def _plain_facts(options):
    """ "ratio 0.5": the numbers, switches and choices that the file sets."""
    for descriptor, value in options.ListFields():
        if hasattr(value, "append") and descriptor.type == descriptor.TYPE_UINT32:
            value = ", ".join(map(str, value))
        elif descriptor.type == descriptor.TYPE_ENUM and not hasattr(value, "append"):
            value = descriptor.enum_type.values_by_number[value].name
        elif isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, float):
            value = f"{value:g}"
        elif not isinstance(value, int):
            continue
        yield f"{descriptor.name} {value}"


def _text(words, longest=_LONGEST):
    """Words for an HTML-like label, whatever they are made of."""
    words = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    if len(words) > longest:
        words = words[: longest - 1] + "…"
    return html.escape(words) or "(empty)"


def _quoted(words):
    words = "".join(c if c.isprintable() else " " for c in words)
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
