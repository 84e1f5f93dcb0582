"""NetParameter -> Graphviz text: a box per layer, in-place layers stacked below their producer."""

import html
from dataclasses import dataclass, field

_FONT = "Helvetica,Arial,sans-serif"
_LONGEST = 48  # characters of a name that are shown

# kind: (fill, border); a type is of the first kind with a word that its name contains
_KINDS = {
    "data": ("#e3e8ee", "#8a98a8", ("Data", "Input", "Parameter")),
    "loss": ("#f9dcdc", "#c96f6f", ("Loss", "Accuracy")),
    "convolution": ("#d6e6f7", "#6f9fcf", ("onvolution", "Im2col", "Interp", "Upsample")),
    "pooling": ("#fbe6cc", "#d9a05b", ("Pooling", "SPP", "PSROI")),
    "dense": ("#e5dcf4", "#9a83c6", ("InnerProduct", "Embed", "RNN", "LSTM", "GRU")),
    "normalization": ("#d5efee", "#62b1ac", ("Norm", "LRN", "MVN", "Scale", "Bias")),
    "activation": (
        "#e2f2d9",
        "#86b86b",
        ("ReLU", "ELU", "Sigmoid", "TanH", "Swish", "Clip", "BNLL", "Softmax", "Dropout", "Mish"),
    ),
    "other": ("#f4f2e6", "#b5ad83", ("",)),
}
_PHASE_COLORS = {"TRAIN": "#b3540a", "TEST": "#0a6a74"}
_EDGE_COLOR = "#5b6673"


@dataclass
class View:
    """What a net consists of in one phase; `shapes` and `learnable` as far as they are known."""

    phase: str
    layers: list  # indices into NetParameter.layer
    shapes: dict = field(default_factory=dict)  # (layer index, top index): shape
    learnable: dict = field(default_factory=dict)  # layer index: number of values


def dot_text(net, views=None, rankdir="TB", shapes=True):
    """The Graphviz source of a picture of `net`.

    Parameters
    ----------
    net : NetParameter, upgraded, neither filtered nor with splits
    views : one View per phase to be drawn into the same picture; by default all layers in one
    rankdir : where the data flows: TB, BT, LR or RL
    shapes : whether edges tell the shapes of the blobs
    """
    graph = _Graph(net, views or [View("", list(range(len(net.layer))))], shapes)
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
    """The layers of all views with their wiring: who is stacked on whom, who reads what."""

    def __init__(self, net, views, shapes):
        self.net, self.views, self.with_shapes = net, views, shapes
        self.phases = {}  # layer index: names of the phases it is in
        self.readings = {}  # (source, top, reader, bottom): {phase: shape}; source None: unknown
        self.stack_of = {}  # layer index: the layer at the top of its stack
        self.outputs = {}  # (source, top): {phase: shape}
        candidates = {}
        for view in views:
            self._wire(view, candidates)
        for index in sorted(self.phases):
            roots = {self.stack_of.get(below) for below in candidates.get(index, {None})}
            root = roots.pop() if len(roots) == 1 else None
            self.stack_of[index] = index if root is None else root

    def _wire(self, view, candidates):
        """Follow the blobs through one view; an in-place layer may stack on its producer."""
        writer, read = {}, set()
        for index in view.layers:
            layer = self.net.layer[index]
            self.phases.setdefault(index, []).append(view.phase)
            for j, name in enumerate(layer.bottom):
                source = writer.get(name)
                read.add(source)
                key = (*(source or (None, None)), index, j)
                self.readings.setdefault(key, {})[view.phase] = view.shapes.get(source)
            below = writer.get(layer.bottom[0]) if layer.bottom else None
            alone = below and len(self.net.layer[below[0]].top) == 1
            stacks = alone and list(layer.bottom) == list(layer.top)
            candidates.setdefault(index, set()).add(below[0] if stacks else None)
            writer.update({name: (index, k) for k, name in enumerate(layer.top)})
        for source in writer.values():
            if source not in read:
                self.outputs.setdefault(source, {})[view.phase] = view.shapes.get(source)

    def title(self):
        counts = {
            sum(view.learnable.values()) for view in self.views if any(view.learnable.values())
        }
        total = f"{max(counts):,} learnable values" if counts else ""
        name = f'<FONT POINT-SIZE="18"><B>{_text(self.net.name or "net")}</B></FONT>'
        return f'{name}<BR/><FONT POINT-SIZE="11" COLOR="{_EDGE_COLOR}">{total}</FONT><BR/> <BR/>'

    # Nodes

    def nodes(self):
        stacks = {}
        for index in sorted(self.phases):
            stacks.setdefault(self.stack_of[index], []).append(index)
        for root, members in stacks.items():
            cells = "".join(self._cell(index) for index in members)
            yield (
                f"  n{root} [label=<<TABLE BORDER='0' CELLBORDER='1' CELLSPACING='0' "
                f"CELLPADDING='6'>{cells}</TABLE>>];"
            )
        for (index, k), by_phase in self.outputs.items():
            mark = self._mark(list(by_phase), self.phases[index])
            yield (
                f"  o{index}_{k} [shape=box, style=rounded, color={_quoted(_EDGE_COLOR)}, "
                f"height=0.3, label=<{_text(self.net.layer[index].top[k])}{mark}>];"
            )
        for _, _, index, j in (key for key in self.readings if key[0] is None):
            yield (
                f'  m{index}_{j} [shape=box, style="rounded,dashed", color="#c00000", height=0.3, '
                f'fontcolor="#c00000", label=<{_text(self.net.layer[index].bottom[j])}<BR/>'
                f"(nobody produces it)>];"
            )

    def _cell(self, index):
        layer = self.net.layer[index]
        fill, border = next(
            (fill, border)
            for fill, border, words in _KINDS.values()
            if any(word in layer.type for word in words)
        )
        everywhere = [view.phase for view in self.views]
        first = (
            f"<B>{_text(layer.name)}</B>&nbsp; <FONT COLOR='#4d5660'>{_text(layer.type)}</FONT>"
            f"{self._mark(self.phases[index], everywhere)}"
        )
        facts = _facts(layer)
        learnable = max((view.learnable.get(index, 0) for view in self.views), default=0)
        if learnable:
            facts.append(f"{learnable:,} learnable")
        if facts:
            small = f"<FONT POINT-SIZE='10' COLOR='#4d5660'>{_text(' · '.join(facts), 80)}</FONT>"
            first = (
                "<TABLE BORDER='0' CELLBORDER='0' CELLSPACING='0' CELLPADDING='2'>"
                f"<TR><TD>{first}</TD></TR><TR><TD>{small}</TD></TR></TABLE>"
            )
        return f"<TR><TD BGCOLOR='{fill}' COLOR='{border}'>{first}</TD></TR>"

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

    def edges(self):
        for (source, k, reader, j), by_phase in self.readings.items():
            head = f"n{self.stack_of[reader]}"
            if source is None:
                yield f'  m{reader}_{j} -> {head} [style=dashed, color="#c00000"];'
            elif self.stack_of[source] != self.stack_of[reader]:
                yield self._edge(source, k, head, by_phase)
        for (source, k), by_phase in self.outputs.items():
            yield self._edge(source, k, f"o{source}_{k}", by_phase)

    def _edge(self, source, k, head, by_phase):
        layer = self.net.layer[source]
        named = len(layer.top) > 1 or layer.top[k] != self.net.layer[self.stack_of[source]].name
        words = [_text(layer.top[k])] if named and not head.startswith("o") else []
        if self.with_shapes:
            words += [_shape(by_phase.values())]
        style = ""
        if len(by_phase) < len(self.views):
            color = _PHASE_COLORS.get(next(iter(by_phase)), _EDGE_COLOR)
            style = f', style=dashed, color="{color}"'
        label = " ".join(filter(None, words))
        label = f"label=< {label} >" if label else 'label=""'
        return f"  n{self.stack_of[source]} -> {head} [{label}{style}];"


def _shape(shapes):
    """ "64×20×24×24"; an axis in which the phases differ is N."""
    shapes = {shape for shape in shapes if shape is not None}
    if len({len(shape) for shape in shapes}) != 1:
        return ""
    axes = (str(dims[0]) if len(set(dims)) == 1 else "N" for dims in zip(*shapes, strict=True))
    return "×".join(axes) or "scalar"


def _facts(layer):
    """What of a layer's options is worth showing, in Caffe's words."""
    facts = []
    for descriptor, options in layer.ListFields():
        if descriptor.name in ("convolution_param", "deconvolution_param", "pooling_param"):
            facts += _window_facts(options)
        elif descriptor.name == "inner_product_param":
            facts.append(f"→ {options.num_output}")
        elif descriptor.name.endswith("_param") and descriptor.name not in _COMMON:
            facts += _plain_facts(options)
    return facts[:4]


_COMMON = ("transform_param", "loss_param", "input_param", "dummy_data_param")


def _window_facts(options):
    """Of a convolution or pooling: how, window, number of outputs, then stride, pad, ..."""
    facts = []
    kernel = _size(options, "kernel", "kernel_size")
    if hasattr(options, "num_output"):
        facts.append(f"{kernel} → {options.num_output}".strip())
    else:
        method = options.DESCRIPTOR.fields_by_name["pool"].enum_type.values_by_number[options.pool]
        facts.append(f"{method.name} {'global' if options.global_pooling else kernel}".strip())
    for name, usual in (("stride", "1"), ("pad", "0"), ("dilation", "1"), ("group", "1")):
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
        if descriptor.type == descriptor.TYPE_ENUM and not hasattr(value, "append"):
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
    return html.escape(words)


def _quoted(words):
    words = "".join(c if c.isprintable() else " " for c in words)
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
