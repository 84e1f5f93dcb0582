"""Rules on what runs, but does not learn, or not what was meant."""

from . import rule


@rule()
def no_loss(net):
    """A net with data and weights, but nothing that makes them learn."""
    if net.has_loss_in_any_state or net.phase != "TRAIN":
        return
    learns = any(_learns(net, i) for i in range(len(net.layers)))
    if learns and any(made.role == "source" for made in net.facts):
        yield None, "reads data and has weights, but no loss: it cannot be trained"


@rule()
def nothing_learns(net):
    """A loss, and all weights frozen or none at all."""
    if net.trains and not any(_learns(net, i) for i in range(len(net.layers))):
        yield None, "has a loss, but no weights that learn"


def _learns(net, i):
    """Whether a layer has weights that training changes, as far as the text tells."""
    layer, built = net.layers[i], net.built[i].layer
    if built is not None:
        rates = [spec.lr_mult for spec in built.param.param] + [1.0] * len(built.blobs)
        names = zip(built.blob_names, rates, strict=False)
        return any(rate for name, rate in names if name not in built.statistics)
    frozen = layer.param and not any(spec.lr_mult for spec in layer.param)
    return net.facts[i].learns and not frozen


@rule()
def no_label(net):
    """A layer that reads labels of classes which nothing gives, beside data without labels."""
    for i, j in _labels(net):
        layer = net.layers[i]
        if (i, j) in net.source or layer.bottom[j] in net.producers:
            continue
        for source, data in enumerate(net.layers):
            if _brings_samples(net, source) and len(data.top) == 1:
                words = f'gives no labels, which layer "{layer.name}" wants'
                yield source, f'{words}; add top: "{layer.bottom[j]}"', "top"


@rule()
def swapped_bottoms(net):
    """A layer that reads scores and labels, or values and labels, but gets labels first."""
    for i, j in _labels(net):
        layer = net.layers[i]
        first, second = (net.source.get((i, k)) for k in (0, j))
        if first and second and _is_label(net, first) and not _is_label(net, second):
            yield i, f'bottoms are scores, then labels, but "{layer.bottom[0]}" is data', "bottom"


def _labels(net):
    """(layer, bottom) wherever a layer reads labels of classes."""
    for i, layer in enumerate(net.layers):
        for j in net.facts[i].labels:
            if j < len(layer.bottom):
                yield i, j


def _brings_samples(net, i):
    return net.facts[i].role in ("source", "dummy")


def _is_label(net, source):
    i, k = source
    return _brings_samples(net, i) and k > 0


@rule()
def activation_before_loss(net):
    """A softmax or sigmoid before a loss that has its own, or a ReLU on scores."""
    for i, layer in enumerate(net.layers):
        loss, before = net.facts[i], net.facts_below(i)
        if before is None or loss.role != "loss" or not loss.applies:
            continue
        if before.applies == loss.applies:
            words = f"{layer.type} computes the {loss.applies.lower()} itself, but"
            yield i, f'{words} "{layer.bottom[0]}" already went through one', "bottom"
        elif before.role == "activation":
            words = f'the scores "{layer.bottom[0]}" come from the {before.type} "{before.name}"'
            yield i, f"{words}, which changes them before the loss", "bottom"


@rule()
def one_class(net):
    """A softmax over one class, which is always certain."""
    for i, layer in enumerate(net.layers):
        built, made = net.built[i], net.facts[i]
        if not hasattr(made.options, "axis") or not made.applies:
            continue  # no distribution over classes: a sigmoid, for one, may be of one
        if not built.bottoms or built.guessed:
            continue
        axis = made.options.axis
        shape = built.bottoms[0]
        if -len(shape) <= axis < len(shape) and shape[axis] == 1:
            words = f'"{layer.bottom[0]}" has one class: its probability is always 1'
            yield i, f"{words}; use 2, or a sigmoid", "bottom"


@rule(advice=True)
def zero_weights(net):
    """Weights that start at 0, below others: unless loaded, all outputs of a layer stay alike."""
    if not net.trains:
        return
    for i, layer in enumerate(net.layers):
        made = net.facts[i]
        if not made.learns or not hasattr(made.options, "weight_filler"):
            continue
        if layer.blobs or not _learns(net, i) or _is_last(net, i):
            continue
        if getattr(made.options, "num_output", 0) == 1:
            continue  # no other that it could be like
        filler = made.options.weight_filler
        biases = getattr(made.options, "bias_filler", filler)  # other kinds tell outputs apart
        if filler.type == biases.type == "constant" and filler.value == 0:
            given = made.options.HasField("weight_filler")
            words = "weight_filler says constant 0" if given else "has no weight_filler"
            words += ": unless others are loaded, its weights start at 0, and all its outputs alike"
            words += '; write weight_filler { type: "xavier" }'
            yield i, words, made.options_field, "weight_filler"


@rule(advice=True)
def zero_for_good(net):
    """Weights that start at 0 and stay so: unless loaded, no layer before them learns either."""
    if not net.trains:
        return
    for i, layer in enumerate(net.layers):
        made = net.facts[i]
        filler = getattr(made.options, "weight_filler", None)
        if filler is None or not made.learns or layer.blobs or not layer.param:
            continue
        stays = layer.param[0].lr_mult == 0 and filler.type == "constant" and filler.value == 0
        if stays and _learns_below(net, i):
            words = "unless others are loaded, its weights are 0, and lr_mult: 0 keeps them so: no "
            words += "gradient comes through it, and what stands before it learns nothing; write "
            built = net.built[i].layer
            upsamples = built is not None and built.bilinear() is not None
            words += "weight_filler { type: "
            words += '"bilinear" diagonal: true }' if upsamples else '"xavier" }'
            yield i, words, "param", "lr_mult"


def _learns_below(net, i):
    """Whether a layer that a layer reads from, however far, learns."""
    waiting, seen = [i], {i}
    while waiting:
        at = waiting.pop()
        for k in range(len(net.layers[at].bottom)):
            below = net.source.get((at, k), (None,))[0]
            if below is None or below in seen:
                continue
            if _learns(net, below):
                return True
            seen.add(below)
            waiting.append(below)
    return False


def _is_last(net, i):
    """Whether nothing that learns, and no activation, comes between a layer and losses and figures.

    Then it may start at 0: where scores are added up, enlarged, or compared with labels as they
    are, each has a gradient of its own.
    """
    ends = ("loss", "measure", "sink")
    return all(
        net.facts[at].role in ends
        or (net.facts[at].role != "activation" and not _learns(net, at) and _is_last(net, at))
        for at in net.readers_of(i)
    )


@rule(advice=True)
def linear_pair(net):
    """Two InnerProducts without an activation between, and no bottleneck: one would do."""
    for i, this in enumerate(net.facts):
        before = net.facts_below(i)
        if before is None or not (this.linear and before.linear):
            continue
        middle = before.options.num_output
        inputs = net.built[net.source[i, 0][0]].layer
        narrow = inputs is not None and middle < min(
            inputs.blobs[0].count // max(middle, 1), this.options.num_output
        )
        if not narrow:
            words = f'no activation stands between layer "{before.name}" and this one'
            yield i, f"{words}: together they compute what one alone could", "bottom"


@rule(advice=True)
def batch_norm_without_scale(net):
    """BatchNorm without a learned scale and bias; a Scale layer adds them."""
    for i, made in enumerate(net.facts):
        readers = net.readers_of(i)
        if not made.normalizes_channels or made.learns:
            continue
        if readers and not any(net.facts[at].is_by_channel for at in readers):
            yield i, 'no Scale follows; add type: "Scale" scale_param { bias_term: true }', "type"


@rule(advice=True)
def scale_without_bias(net):
    """A Scale behind BatchNorm that does not learn a bias."""
    for i, made in enumerate(net.facts):
        before = net.facts_below(i)
        if not made.is_by_channel or before is None or not before.normalizes_channels:
            continue
        biased = before.learns or any(net.facts[at].is_by_channel for at in net.readers_of(i))
        if not getattr(made.options, "bias_term", True) and not biased:
            words = f'behind {before.type} "{before.name}", which takes the mean away,'
            yield (
                i,
                f"{words} without a bias; write {made.options_field} {{ bias_term: true }}",
                made.options_field,
                "bias_term",
            )


@rule(advice=True)
def bias_before_batch_norm(net):
    """A bias that BatchNorm takes away again."""
    for i, made in enumerate(net.facts):
        readers = [net.facts[at] for at in net.readers_of(i)]
        if not made.learns or not getattr(made.options, "bias_term", False) or len(readers) != 1:
            continue
        if readers[0].normalizes_channels and not made.is_by_channel:
            words = f'its bias has no effect: {readers[0].type} "{readers[0].name}" takes it away'
            yield i, f"{words}; write bias_term: false", made.options_field, "bias_term"


@rule()
def batch_statistics_in_test(net):
    """BatchNorm that normalizes by the batch when testing, too."""
    for i, made in enumerate(net.facts):
        option = "use_global_stats"
        if net.phase != "TEST" or not hasattr(made.options, option):
            continue
        if made.options.HasField(option) and not made.options.use_global_stats:
            words = "normalizes by the batch in phase TEST, too, so results depend on what else"
            words += " is in it; leave use_global_stats out, and each phase gets its own"
            yield i, words, made.options_field, option


@rule()
def mirror_in_test(net):
    """Pictures that are mirrored at random when testing."""
    for i, layer in enumerate(net.layers):
        if net.phase == "TEST" and layer.transform_param.mirror and _brings_samples(net, i):
            yield i, "mirrors pictures at random when testing, too", "transform_param", "mirror"
