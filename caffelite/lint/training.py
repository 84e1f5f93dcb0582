"""Rules on what runs, but does not learn, or not what was meant."""

SOURCES = {"Data", "ImageData", "DenseImageData", "HDF5Data", "MemoryData", "WindowData"}
_OF_CLASSES = {
    *["SoftmaxWithLoss", "FocalLoss", "HingeLoss", "InfogainLoss", "MultinomialLogisticLoss"],
}
_OF_LABELS = {*_OF_CLASSES, "Accuracy", "SegAccuracy"}
_WITH_WEIGHTS = {
    "Convolution": "convolution_param",
    "ConvolutionDepthwise": "convolution_param",
    "DepthwiseConvolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
    "Embed": "embed_param",
    "LSTM": "recurrent_param",
    "Lstm": "lstm_param",
    "RNN": "recurrent_param",
    "GRU": "gru_param",
}
# What a loss applies to its bottom by itself, and so wants to be without.
_INSIDE_LOSS = {
    "SoftmaxWithLoss": {"Softmax": "computes the softmax itself"},
    "FocalLoss": {"Softmax": "computes the softmax itself"},
    "SoftmaxWithCrossEntropyLoss": {"Softmax": "computes the softmax itself"},
    "InfogainLoss": {"Softmax": "computes the softmax itself"},
    "SigmoidCrossEntropyLoss": {"Sigmoid": "computes the sigmoid itself"},
}


def no_loss(view):
    """A net with data and weights, but nothing that makes them learn."""
    if view.net_has_loss or view.phase != "TRAIN":
        return
    learns = any(_learns(view, i) for i in range(len(view.layers)))
    if learns and any(layer.type in SOURCES for layer in view.layers):
        yield None, "reads data and has weights, but no loss: it cannot be trained"


def nothing_learns(view):
    """A loss, and all weights frozen or none at all."""
    if view.trains and not any(_learns(view, i) for i in range(len(view.layers))):
        yield None, "has a loss, but no weights that learn"


def _learns(view, i):
    """Whether a layer has weights that training changes, as far as the text tells."""
    layer, built = view.layers[i], view.built[i].layer
    if built is not None:
        specs = [spec.lr_mult for spec in layer.param] + [1.0] * len(built.blobs)
        return any(specs[: len(built.blobs)]) and layer.type != "BatchNorm"
    frozen = layer.param and not any(spec.lr_mult for spec in layer.param)
    return (layer.type in _WITH_WEIGHTS or layer.type == "Python") and not frozen


def no_label(view):
    """A loss of classes whose labels are no data, or data without labels beside such a loss."""
    for i, layer in enumerate(view.layers):
        if layer.type not in _OF_LABELS or len(layer.bottom) < 2:
            continue
        if (i, 1) in view.source or layer.bottom[1] in view.producers:
            continue
        for source, data in enumerate(view.layers):
            if data.type in SOURCES and len(data.top) == 1:
                words = f'gives no labels, which layer "{layer.name}" wants'
                yield source, f'{words}; add top: "{layer.bottom[1]}"', "top"


def swapped_bottoms(view):
    """A loss of classes, or Accuracy, that gets labels first and scores second."""
    for i, layer in enumerate(view.layers):
        if layer.type in _OF_LABELS and len(layer.bottom) >= 2:
            first, second = (view.source.get((i, j)) for j in (0, 1))
            if first and second and _is_label(view, first) and not _is_label(view, second):
                yield (
                    i,
                    f'bottoms are scores, then labels, but "{layer.bottom[0]}" is data',
                    "bottom",
                )


def _is_label(view, source):
    i, k = source
    return view.layers[i].type in SOURCES and k > 0


def activation_before_loss(view):
    """A softmax or sigmoid before a loss that has its own, or a ReLU on scores."""
    for i, layer in enumerate(view.layers):
        before = view.bottom(i, 0)
        if before is None:
            continue
        own = _INSIDE_LOSS.get(layer.type, {}).get(before.type)
        if own:
            yield (
                i,
                f'{layer.type} {own}, but "{layer.bottom[0]}" already went through one',
                "bottom",
            )
        elif before.type in ("ReLU", "ReLU6", "Dropout") and layer.type in _INSIDE_LOSS:
            words = f'the scores "{layer.bottom[0]}" come from the {before.type} "{before.name}"'
            yield i, f"{words}, which changes them before the loss", "bottom"


def one_class(view):
    """A softmax over one class, which is always certain."""
    for i, layer in enumerate(view.layers):
        built = view.built[i]
        if layer.type not in ("SoftmaxWithLoss", "Softmax") or not built.bottoms or built.guessed:
            continue
        axis = layer.softmax_param.axis
        shape = built.bottoms[0]
        if -len(shape) <= axis < len(shape) and shape[axis] == 1:
            words = f'"{layer.bottom[0]}" has one class: its probability is always 1'
            yield i, f"{words}; use 2, or a sigmoid", "bottom"


def zero_weights(view):
    """Weights that start at 0, below others: all outputs of such a layer stay alike."""
    if not view.trains:
        return
    for i, layer in enumerate(view.layers):
        field = _WITH_WEIGHTS.get(layer.type)
        if not field or not _learns(view, i) or layer.blobs or _is_last(view, i):
            continue
        filler = getattr(layer, field).weight_filler
        if filler.type == "constant" and filler.value == 0:
            given = getattr(layer, field).HasField("weight_filler")
            words = "weight_filler says constant 0" if given else "has no weight_filler"
            words += ": its weights start at 0, and all its outputs alike"
            yield i, f'{words}; write weight_filler {{ type: "xavier" }}', field, "weight_filler"


def _is_last(view, i):
    """Whether losses and figures alone read what a layer computes: then it may start at 0."""
    readers = [view.layers[at].type for at in view.readers_of(i)]
    return all(reader.endswith(("Loss", "Accuracy")) for reader in readers)


def linear_pair(view):
    """Two InnerProducts without an activation between, and no bottleneck: one would do."""
    for i, layer in enumerate(view.layers):
        before = view.bottom(i, 0)
        if layer.type != "InnerProduct" or before is None or before.type != "InnerProduct":
            continue
        middle = before.inner_product_param.num_output
        inputs = view.built[view.source[i, 0][0]].layer
        narrow = inputs is not None and middle < min(
            inputs.blobs[0].count // max(middle, 1), layer.inner_product_param.num_output
        )
        if not narrow:
            words = f'no activation stands between layer "{before.name}" and this one'
            yield i, f"{words}: together they compute what one alone could", "bottom"


def batch_norm_without_scale(view):
    """BatchNorm without a learned scale and bias; a Scale layer adds them."""
    for i, layer in enumerate(view.layers):
        built, readers = view.built[i].layer, [view.layers[at].type for at in view.readers_of(i)]
        if layer.type != "BatchNorm" or (built is not None and built.has_scale):
            continue
        if readers and not {"Scale", "Bias"} & set(readers):
            yield i, 'no Scale follows; add type: "Scale" scale_param { bias_term: true }', "type"


def scale_without_bias(view):
    """A Scale behind BatchNorm that does not learn a bias."""
    for i, layer in enumerate(view.layers):
        before = view.bottom(i, 0)
        if layer.type != "Scale" or before is None or before.type != "BatchNorm":
            continue
        biased = any(view.layers[at].type == "Bias" for at in view.readers_of(i))
        if not layer.scale_param.bias_term and not biased:
            words = f'behind BatchNorm "{before.name}", which takes the mean away, without a bias'
            yield i, f"{words}; write scale_param {{ bias_term: true }}", "scale_param", "bias_term"


def bias_before_batch_norm(view):
    """A bias that BatchNorm takes away again."""
    for i, layer in enumerate(view.layers):
        field = _WITH_WEIGHTS.get(layer.type)
        if field not in ("convolution_param", "inner_product_param"):
            continue
        readers = [view.layers[at] for at in view.readers_of(i)]
        if getattr(layer, field).bias_term and [ly.type for ly in readers] == ["BatchNorm"]:
            words = f'its bias has no effect: BatchNorm "{readers[0].name}" takes it away'
            yield i, f"{words}; write bias_term: false", field, "bias_term"


def batch_statistics_in_test(view):
    """BatchNorm that normalizes by the batch when testing, too."""
    for i, layer in enumerate(view.layers):
        options = layer.batch_norm_param
        if view.phase == "TEST" and options.HasField("use_global_stats"):
            if layer.type == "BatchNorm" and not options.use_global_stats:
                words = "normalizes by the batch in phase TEST, too, so results depend on what else"
                words += " is in it; leave use_global_stats out, and each phase gets its own"
                yield i, words, "batch_norm_param", "use_global_stats"


def mirror_in_test(view):
    """Pictures that are mirrored at random when testing."""
    for i, layer in enumerate(view.layers):
        if view.phase == "TEST" and layer.transform_param.mirror and layer.type in SOURCES:
            yield i, "mirrors pictures at random when testing, too", "transform_param", "mirror"
