"""`caffelite init NAME --classes N`: the net of a classifier with heads for other classes.

A head is the layer that makes the scores of a loss that compares them with labels: of a net with
auxiliary classifiers, each has one. The new ones have names of their own, so that weights for the
old classes do not fit them by chance, and learn faster than what is to keep published weights.
"""

from ..errors import DataError

FASTER = 10  # times the lr_mult of the heads


def find(net, name):
    """The names of the heads of a NetParameter, or a DataError if it is no classifier."""
    from ..layers.base import layer_class

    losses = [layer for layer in net.layer if layer_class(layer.type).role == "loss"]
    found = []
    for loss in losses:
        kind = layer_class(loss.type)
        head = _head_of(net, loss) if kind.compares == "classes" else None
        of_rows = head is not None and head.inner_product_param.axis == 1
        if not of_rows or not _is_learned(head):
            raise DataError(
                f'{name}: layer "{loss.name}" ({loss.type}) compares no scores of a learned layer '
                "with classes: --classes and --data are for classifiers, as most of `caffelite "
                f"models` are; `caffelite init {name}` alone copies this net as it is"
            )
        found.append(head.name)
    if not found:
        raise DataError(
            f"{name}: has no loss that compares classes: --classes and --data are for classifiers; "
            f"`caffelite init {name}` alone copies this net as it is"
        )
    return list(dict.fromkeys(found))


def _head_of(net, loss):
    """The layer with num_output whose top, on its way through layers of one bottom, is compared."""
    blob, layers = loss.bottom[0], list(net.layer)
    before = [id(layer) for layer in layers].index(id(loss))
    for layer in reversed(layers[:before]):
        if blob not in layer.top:
            continue
        if _options(layer) is not None:
            return layer
        if len(layer.bottom) != 1:
            return None
        blob = layer.bottom[0]
    return None


def _options(layer):
    """The message of its options that has num_output, or None."""
    from ..layers.base import layer_class

    kind = layer_class(layer.type)
    options = getattr(layer, kind.options_field, None) if kind.learns else None
    return options if options is not None and hasattr(options, "num_output") else None


def _is_learned(head):
    """Whether a solver learns it; what lr_mult 0 holds are codes of the classes there were."""
    return not head.param or any(param.lr_mult for param in head.param)


def renew(nets, heads, classes, faster=FASTER):
    """Give each of `nets` (train_val, deploy) new heads, with so many outputs; {old: new name}.

    An Accuracy of the top 5 goes where there are no more than 5 classes: it cannot be, or is 1.
    """
    taken = {layer.name for net in nets for layer in net.layer}
    names = {}
    for head in heads:
        names[head] = f"{head}_own"
        while names[head] in taken:
            names[head] += "_own"
    for net in nets:
        for number in reversed(range(len(net.layer))):
            if 1 < net.layer[number].accuracy_param.top_k >= classes:
                del net.layer[number]
        for layer in net.layer:
            if layer.name in names:
                _options(layer).num_output = classes
                for param in layer.param or [layer.param.add() for _ in range(_blobs(layer))]:
                    param.lr_mult *= faster
            for blobs in (layer.bottom, layer.top):
                blobs[:] = [names.get(blob, blob) for blob in blobs]
            layer.name = names.get(layer.name, layer.name)
    return names


def _blobs(layer):
    return 1 + _options(layer).bias_term


def without_rates(net):
    """Leave out what only training reads: of a deploy.prototxt."""
    for layer in net.layer:
        layer.ClearField("param")


def freeze(net, blobs, heads, last=""):
    """Let the layers up to `last`, or all but the `heads`, keep their weights and statistics.

    `blobs` is {layer name: how many it learns}.
    """
    from ..layers.base import layer_class

    names = [layer.name for layer in net.layer]
    if last and last not in names:
        from ..errors import did_you_mean

        raise DataError(f"--freeze {last}: there is no such layer{did_you_mean(last, names)}")
    end = names.index(last) + 1 if last else len(names)
    for layer in net.layer[:end]:
        if layer.name in heads or layer.name not in blobs:
            continue
        options = getattr(layer, layer_class(layer.type).options_field, None)
        if hasattr(options, "use_global_stats"):
            options.use_global_stats = True
        del layer.param[:]
        for _ in range(blobs[layer.name]):
            layer.param.add(lr_mult=0, decay_mult=0)


def weigh(net, weights, name):
    """Let each loss weigh the samples of class k by weights[k]."""
    from ..layers.base import layer_class

    for layer in net.layer:
        kind = layer_class(layer.type)
        if kind.role != "loss":
            continue
        if kind.refused.get("loss_param.weight_by_label_freqs", "") is not None:
            raise DataError(
                f'{name}: layer "{layer.name}" ({layer.type}) weighs no classes, as --class-weights'
                " asks; balanced_batches: true in data_param shows each class as often instead"
            )
        layer.loss_param.weight_by_label_freqs = True
        layer.loss_param.class_weighting[:] = [float(f"{weight:.4g}") for weight in weights]
