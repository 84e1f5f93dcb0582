"""Rules on what runs, but does not learn, or not what was meant."""


def no_loss(view):
    """A net with data and weights, but nothing that makes them learn."""
    if view.net_has_loss or view.phase != "TRAIN":
        return
    learns = any(_learns(view, i) for i in range(len(view.layers)))
    if learns and any(made.role == "source" for made in view.made):
        yield None, "reads data and has weights, but no loss: it cannot be trained"


def nothing_learns(view):
    """A loss, and all weights frozen or none at all."""
    if view.trains and not any(_learns(view, i) for i in range(len(view.layers))):
        yield None, "has a loss, but no weights that learn"


def _learns(view, i):
    """Whether a layer has weights that training changes, as far as the text tells."""
    layer, built = view.layers[i], view.built[i].layer
    if built is not None:
        rates = [spec.lr_mult for spec in built.param.param] + [1.0] * len(built.blobs)
        names = zip(built.blob_names, rates, strict=False)
        return any(rate for name, rate in names if name not in built.statistics)
    frozen = layer.param and not any(spec.lr_mult for spec in layer.param)
    return view.made[i].learns and not frozen


def no_label(view):
    """A layer that reads labels of classes which nothing gives, beside data without labels."""
    for i, j in _labels(view):
        layer = view.layers[i]
        if (i, j) in view.source or layer.bottom[j] in view.producers:
            continue
        for source, data in enumerate(view.layers):
            if _brings_samples(view, source) and len(data.top) == 1:
                words = f'gives no labels, which layer "{layer.name}" wants'
                yield source, f'{words}; add top: "{layer.bottom[j]}"', "top"


def swapped_bottoms(view):
    """A layer that reads scores and labels, or values and labels, but gets labels first."""
    for i, j in _labels(view):
        layer = view.layers[i]
        first, second = (view.source.get((i, k)) for k in (0, j))
        if first and second and _is_label(view, first) and not _is_label(view, second):
            yield i, f'bottoms are scores, then labels, but "{layer.bottom[0]}" is data', "bottom"


def _labels(view):
    """(layer, bottom) wherever a layer reads labels of classes."""
    for i, layer in enumerate(view.layers):
        for j in view.made[i].labels:
            if j < len(layer.bottom):
                yield i, j


def _brings_samples(view, i):
    return view.made[i].role in ("source", "dummy")


def _is_label(view, source):
    i, k = source
    return _brings_samples(view, i) and k > 0


def activation_before_loss(view):
    """A softmax or sigmoid before a loss that has its own, or a ReLU on scores."""
    for i, layer in enumerate(view.layers):
        loss, before = view.made[i], view.made_below(i)
        if before is None or loss.role != "loss" or not loss.applies:
            continue
        if before.applies == loss.applies:
            words = f"{layer.type} computes the {loss.applies.lower()} itself, but"
            yield i, f'{words} "{layer.bottom[0]}" already went through one', "bottom"
        elif before.role == "activation":
            words = f'the scores "{layer.bottom[0]}" come from the {before.type} "{before.name}"'
            yield i, f"{words}, which changes them before the loss", "bottom"


def one_class(view):
    """A softmax over one class, which is always certain."""
    for i, layer in enumerate(view.layers):
        built, made = view.built[i], view.made[i]
        if not hasattr(made.options, "axis") or not made.applies:
            continue  # no distribution over classes: a sigmoid, for one, may be of one
        if not built.bottoms or built.guessed:
            continue
        axis = made.options.axis
        shape = built.bottoms[0]
        if -len(shape) <= axis < len(shape) and shape[axis] == 1:
            words = f'"{layer.bottom[0]}" has one class: its probability is always 1'
            yield i, f"{words}; use 2, or a sigmoid", "bottom"


def zero_weights(view):
    """Weights that start at 0, below others: all outputs of such a layer stay alike."""
    if not view.trains:
        return
    for i, layer in enumerate(view.layers):
        made = view.made[i]
        if not made.learns or not hasattr(made.options, "weight_filler"):
            continue
        if layer.blobs or not _learns(view, i) or _is_last(view, i):
            continue
        filler = made.options.weight_filler
        if filler.type == "constant" and filler.value == 0:
            given = made.options.HasField("weight_filler")
            words = "weight_filler says constant 0" if given else "has no weight_filler"
            words += ": its weights start at 0, and all its outputs alike"
            words += '; write weight_filler { type: "xavier" }'
            yield i, words, made.options_field, "weight_filler"


def _is_last(view, i):
    """Whether losses and figures alone read what a layer computes: then it may start at 0."""
    ends = ("loss", "measure", "sink")
    return all(view.made[at].role in ends for at in view.readers_of(i))


def linear_pair(view):
    """Two InnerProducts without an activation between, and no bottleneck: one would do."""
    for i, this in enumerate(view.made):
        before = view.made_below(i)
        if before is None or not (this.linear and before.linear):
            continue
        middle = before.options.num_output
        inputs = view.built[view.source[i, 0][0]].layer
        narrow = inputs is not None and middle < min(
            inputs.blobs[0].count // max(middle, 1), this.options.num_output
        )
        if not narrow:
            words = f'no activation stands between layer "{before.name}" and this one'
            yield i, f"{words}: together they compute what one alone could", "bottom"


def batch_norm_without_scale(view):
    """BatchNorm without a learned scale and bias; a Scale layer adds them."""
    for i, made in enumerate(view.made):
        readers = view.readers_of(i)
        if not made.normalizes_channels or made.learns:
            continue
        if readers and not any(view.made[at].is_by_channel for at in readers):
            yield i, 'no Scale follows; add type: "Scale" scale_param { bias_term: true }', "type"


def scale_without_bias(view):
    """A Scale behind BatchNorm that does not learn a bias."""
    for i, made in enumerate(view.made):
        before = view.made_below(i)
        if not made.is_by_channel or before is None or not before.normalizes_channels:
            continue
        biased = before.learns or any(view.made[at].is_by_channel for at in view.readers_of(i))
        if not getattr(made.options, "bias_term", True) and not biased:
            words = f'behind {before.type} "{before.name}", which takes the mean away,'
            yield (
                i,
                f"{words} without a bias; write {made.options_field} {{ bias_term: true }}",
                made.options_field,
                "bias_term",
            )


def bias_before_batch_norm(view):
    """A bias that BatchNorm takes away again."""
    for i, made in enumerate(view.made):
        readers = [view.made[at] for at in view.readers_of(i)]
        if not made.learns or not getattr(made.options, "bias_term", False) or len(readers) != 1:
            continue
        if readers[0].normalizes_channels and not made.is_by_channel:
            words = f'its bias has no effect: {readers[0].type} "{readers[0].name}" takes it away'
            yield i, f"{words}; write bias_term: false", made.options_field, "bias_term"


def batch_statistics_in_test(view):
    """BatchNorm that normalizes by the batch when testing, too."""
    for i, made in enumerate(view.made):
        option = "use_global_stats"
        if view.phase != "TEST" or not hasattr(made.options, option):
            continue
        if made.options.HasField(option) and not made.options.use_global_stats:
            words = "normalizes by the batch in phase TEST, too, so results depend on what else"
            words += " is in it; leave use_global_stats out, and each phase gets its own"
            yield i, words, made.options_field, option


def mirror_in_test(view):
    """Pictures that are mirrored at random when testing."""
    for i, layer in enumerate(view.layers):
        if view.phase == "TEST" and layer.transform_param.mirror and _brings_samples(view, i):
            yield i, "mirrors pictures at random when testing, too", "transform_param", "mirror"
