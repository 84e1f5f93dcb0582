"""Old layer, transform and solver fields -> today's.

A net file may hold layers of three generations. V0: `layers { layer { type: "conv" ... } }`,
V1: `layers { type: CONVOLUTION ... }`, today: `layer { type: "Convolution" ... }`. Every step
below has a predicate that says whether it is needed; a net that needs none is left as it is.
"""

import logging
import os

from ..errors import NetError, SolverError, did_you_mean, where
from . import caffe_pb2

log = logging.getLogger("caffelite")

V0_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

_V0_MESSAGES = {
    "conv": "convolution_param",
    "innerproduct": "inner_product_param",
    "pool": "pooling_param",
    "dropout": "dropout_param",
    "lrn": "lrn_param",
    "concat": "concat_param",
    "data": "data_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "window_data": "window_data_param",
    "infogain_loss": "infogain_loss_param",
}

# V0 field: its name in the message of the type, and the types that have it.
_V0_OPTIONS = {
    "num_output": ("num_output", "conv innerproduct"),
    "biasterm": ("bias_term", "conv innerproduct"),
    "weight_filler": ("weight_filler", "conv innerproduct"),
    "bias_filler": ("bias_filler", "conv innerproduct"),
    "pad": ("pad", "conv pool"),
    "kernelsize": ("kernel_size", "conv pool"),
    "group": ("group", "conv"),
    "stride": ("stride", "conv pool"),
    "pool": ("pool", "pool"),
    "dropout_ratio": ("dropout_ratio", "dropout"),
    "local_size": ("local_size", "lrn"),
    "alpha": ("alpha", "lrn"),
    "beta": ("beta", "lrn"),
    "k": ("k", "lrn"),
    "source": ("source", "data hdf5_data images window_data infogain_loss"),
    "batchsize": ("batch_size", "data hdf5_data images window_data"),
    "rand_skip": ("rand_skip", "data images"),
    "shuffle_images": ("shuffle", "images"),
    "new_height": ("new_height", "images"),
    "new_width": ("new_width", "images"),
    "concat_dim": ("concat_dim", "concat"),
    "det_fg_threshold": ("fg_threshold", "window_data"),
    "det_bg_threshold": ("bg_threshold", "window_data"),
    "det_fg_fraction": ("fg_fraction", "window_data"),
    "det_context_pad": ("context_pad", "window_data"),
    "det_crop_mode": ("crop_mode", "window_data"),
}

_V0_TRANSFORM = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}

V1_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}

# V1 list: what its entry i is called in param[i].
_V1_PARAM = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}

_V1_DATA = {
    "DATA": "data_param",
    "IMAGE_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
}

SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def upgrade_net(net, path="", problems=None):
    """Bring a NetParameter up to date, in place, and return it.

    Parameters
    ----------
    net : NetParameter
    path : where it came from, for messages
    problems : a list that receives a line for every old option that fits no layer; they are
        logged in any case, and the option is dropped
    """
    if net.layers and net.layer:
        raise NetError(
            f'{where(path, net.layers[0].source_line)}: a net has "layer" or "layers" (the old '
            f"form), not both; there are {len(net.layer)} of the one and {len(net.layers)} of "
            f"the other"
        )
    found = [] if problems is None else problems
    done = []
    for needed, apply, what in NET_UPGRADES:
        if needed(net):
            apply(net, path, found)
            done.append(what)
    for problem in found:
        log.error(problem)
    if done:
        log.warning(
            "%s: in an old form (%s), upgraded on reading; `caffelite upgrade` rewrites the file",
            path or "net",
            ", ".join(done),
        )
    return net


def net_needs_upgrade(net):
    return any(needed(net) for needed, _, _ in NET_UPGRADES)


def upgrade_solver(solver, path=""):
    """Bring a SolverParameter and the nets inside it up to date, in place, and return it."""
    if solver.HasField("solver_type"):
        old = caffe_pb2.SolverParameter.SolverType.Name(solver.solver_type)
        if solver.HasField("type"):
            raise SolverError(
                f"{path or 'solver'}: solver_type: {old} is the old way of saying type: "
                f'"{SOLVER_TYPES[old]}", but type: "{solver.type}" is given too; leave out one'
            )
        solver.type = SOLVER_TYPES[old]
        solver.ClearField("solver_type")
        log.warning(
            '%s: solver_type: %s is the old way of saying type: "%s"',
            path or "solver",
            old,
            solver.type,
        )
    for net in _inline_nets(solver):
        upgrade_net(net, path)
    return solver


def solver_needs_upgrade(solver):
    return solver.HasField("solver_type") or any(map(net_needs_upgrade, _inline_nets(solver)))


def _inline_nets(solver):
    for field, value in solver.ListFields():
        if field.name in ("net_param", "train_net_param"):
            yield value
        elif field.name == "test_net_param":
            yield from value


def complete_snapshot_prefix(solver, path):
    """Unset: the solver file without its ending. A directory: the file's stem in there."""
    stem = os.path.splitext(os.path.basename(path))[0]
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = os.path.join(os.path.dirname(path), stem)
    elif os.path.isdir(solver.snapshot_prefix):
        solver.snapshot_prefix = os.path.join(solver.snapshot_prefix, stem)
    return solver


def _set(message, name, value):
    """Set a field of any kind; a single value is appended to a repeated field."""
    target = getattr(message, name)
    if hasattr(target, "append") and not hasattr(value, "append"):
        target.append(value)
    elif hasattr(target, "MergeFrom"):
        target.MergeFrom(value)
    else:
        setattr(message, name, value)


# V0 -> V1


def _has_v0(net):
    return any(entry.HasField("layer") for entry in net.layers)


def _upgrade_v0(net, path, problems):
    for field, _ in net.ListFields():
        if field.name not in ("name", "layers", "input", "input_dim", "force_backward"):
            net.ClearField(field.name)
    _fold_padding(net, path)
    for entry in net.layers:
        if entry.HasField("layer"):
            _upgrade_v0_layer(entry, path, problems)


def _fold_padding(net, path):
    """Give each padding layer's pad to the layer that reads it, and take it out."""
    producer = {}
    for entry in net.layers:
        for index, name in enumerate(entry.bottom):
            source = producer.get(name)
            if source is None or source.layer.type != "padding":
                continue
            if entry.layer.type not in ("conv", "pool") or len(entry.bottom) != 1:
                raise NetError(
                    f'{_at(entry, path)}: bottom "{name}" comes from the padding layer '
                    f'"{source.layer.name}", which only a conv or pool layer with a single '
                    f"bottom may read"
                )
            if not source.bottom:
                raise NetError(f"{_at(source, path)}: a padding layer needs a bottom")
            entry.layer.pad = source.layer.pad
            entry.bottom[index] = source.bottom[0]
        producer.update((name, entry) for name in entry.top)
    for index in reversed(range(len(net.layers))):
        if net.layers[index].layer.type == "padding":
            del net.layers[index]


def _upgrade_v0_layer(entry, path, problems):
    for field, _ in entry.ListFields():
        if field.name not in ("bottom", "top", "layer", "source_line"):
            entry.ClearField(field.name)
    old = entry.layer
    if old.HasField("type"):
        if old.type not in V0_TYPES:
            raise NetError(
                f'{_at(entry, path)}: unknown type "{old.type}"{did_you_mean(old.type, V0_TYPES)}'
            )
        entry.type = caffe_pb2.V1LayerParameter.LayerType.Value(V0_TYPES[old.type])
    for field, value in old.ListFields():
        name = field.name
        if name in ("name", "blobs", "blobs_lr", "weight_decay"):
            _set(entry, name, value)
        elif name in _V0_TRANSFORM:
            _set(entry.transform_param, _V0_TRANSFORM[name], value)
        elif name == "hdf5_output_param" and old.type == "hdf5_output":
            entry.hdf5_output_param.CopyFrom(value)
        elif old.type in _V0_OPTIONS.get(name, ("", ""))[1].split():
            _set(getattr(entry, _V0_MESSAGES[old.type]), _V0_OPTIONS[name][0], value)
        elif name not in ("type", "new_num", "new_channels"):
            problems.append(f'{_at(entry, path)}: a layer of type "{old.type}" has no {name}')
    entry.ClearField("layer")


def _at(entry, path):
    """'FILE:LINE: layer "NAME"' of an entry of `layers`."""
    name = entry.layer.name if entry.HasField("layer") else entry.name
    place = where(path, entry.source_line)
    return f'{place}: layer "{name}"' if place else f'layer "{name}"'


# Transform options inside V1 data layers


def _v1_data(entry):
    """The data message of a V1 layer that may hold transform options, or None."""
    name = _V1_DATA.get(caffe_pb2.V1LayerParameter.LayerType.Name(entry.type))
    return getattr(entry, name) if name else None


def _old_transform(options):
    return [name for name in _V0_TRANSFORM.values() if options.HasField(name)]


def _has_old_transform(net):
    return any(_old_transform(options) for options in map(_v1_data, net.layers) if options)


def _upgrade_transform(net, path, problems):
    for entry in net.layers:
        options = _v1_data(entry)
        for name in _old_transform(options) if options else ():
            setattr(entry.transform_param, name, getattr(options, name))
            options.ClearField(name)


# V1 -> today


def _has_v1(net):
    return len(net.layers) > 0


def _upgrade_v1(net, path, problems):
    for entry in net.layers:
        _upgrade_v1_layer(entry, net.layer.add())
    net.ClearField("layers")


def _upgrade_v1_layer(old, new):
    for field, value in old.ListFields():
        if field.name == "type":
            new.type = V1_TYPES[caffe_pb2.V1LayerParameter.LayerType.Name(value)]
        elif field.name in _V1_PARAM:
            while len(new.param) < len(value):
                new.param.add()
            for spec, item in zip(new.param, value, strict=False):
                setattr(spec, _V1_PARAM[field.name], item)
        else:
            _set(new, field.name, value)


# Input fields -> Input layer


def _has_input_fields(net):
    return len(net.input) > 0


def _upgrade_input(net, path, problems):
    if net.input_shape or net.input_dim:
        shapes = _input_shapes(net)
        if len(shapes) < len(net.input):
            raise NetError(
                f"{path or 'net'}: {len(net.input)} input fields, but input_shape or input_dim "
                f"give the shape of {len(shapes)}; expected one input_shape, or four input_dim, "
                f"per input"
            )
        layer = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
        for shape in shapes[: len(net.input)]:
            layer.input_param.shape.add(dim=shape)
        net.layer.insert(0, layer)
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)


def _input_shapes(net):
    if net.input_shape:
        return [shape.dim for shape in net.input_shape]
    return list(zip(*[iter(net.input_dim)] * 4, strict=False))  # four at a time


# The statistics of BatchNorm do not learn


def _learning_statistics(net):
    return [
        spec
        for layer in net.layer
        if layer.type == "BatchNorm" and len(layer.param) == 3
        for spec in layer.param
        if spec.lr_mult != 0 or spec.decay_mult != 0
    ]


def _upgrade_batch_norm(net, path, problems):
    for spec in _learning_statistics(net):
        spec.lr_mult = spec.decay_mult = 0


# In this order: predicate, upgrade, what it is called.
NET_UPGRADES = [
    (_has_v0, _upgrade_v0, "V0 layers"),
    (_has_old_transform, _upgrade_transform, "transform options inside data layers"),
    (_has_v1, _upgrade_v1, "V1 layers"),
    (_has_input_fields, _upgrade_input, "input fields"),
    (_learning_statistics, _upgrade_batch_norm, "BatchNorm statistics with a learning rate"),
]
