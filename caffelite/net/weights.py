""".caffemodel and HDF5 weights in and out, and sharing weights between nets."""

import contextlib
import itertools
import logging
import os
from dataclasses import replace

import numpy as np

from ..atomic import write_atomically
from ..data import hdf5
from ..errors import DataError, WeightsError
from ..kept_bytes import path_of
from ..proto import caffe_pb2, message_bytes, wire
from . import checksum
from .transfer import COPIED, NOT_IN_FILE, NOT_IN_NET, WARN, Transfer
from .weights_file import CHECKSUM, BinaryFile, Hdf5File, is_hdf5

log = logging.getLogger("caffelite")


# Reading


def copy_from(net, path, missing=WARN):
    """Load weights files, one or several separated by commas; returns a Transfer."""
    return load([net], _files(path), missing)[0]


def _files(path):
    path = os.fspath(path)
    return [path] if os.path.exists(path_of(path)) else [part.strip() for part in path.split(",")]


def load(nets, paths, missing=WARN):
    """Load weights files, one after the other, into nets; returns a Transfer for each net.

    Nothing is changed unless all of it is whole and fits, and, where `missing` is REFUSE, fills the
    nets.
    """
    with Loading(nets, paths) as loading:
        loading.copy(missing)
        return loading.reports


def load_hdf5(net, path):
    """Load a .caffemodel.h5; returns a Transfer. Nothing is changed unless all of it fits."""
    with Loading([net], [path], Hdf5File) as loading:
        loading.copy()
        return loading.reports[0]


def _opened(path):
    return Hdf5File(path) if is_hdf5(path) else BinaryFile(path)


def check_weights(path):
    """Raise a WeightsError for files, one or several, that are not there, or hold no weights.

    That can be known before a net is made for them, and its data opened.
    """
    for one in _files(path):
        with _opened(one):
            pass


class Loading:
    """Weights files, open, that are whole and fit some nets: all that can fail is behind it.

    `steps` are ((layer name, index), blob, saved blob), `reports` a Transfer for each net.
    """

    def __init__(self, nets, paths, opened=_opened, tolerant=False):
        self._nets, self.steps, self.reports = nets, [], [Transfer() for _ in nets]
        with contextlib.ExitStack() as stack:
            for path in paths:
                file = stack.enter_context(opened(path))
                file.check(tolerant)
                pair = _pair_hdf5 if isinstance(file, Hdf5File) else _pair_binary
                for net, report in zip(nets, self.reports, strict=True):
                    steps = list(pair(net, file, report))
                    report.filled += [blob for _, blob, _ in steps]
                    self.steps += steps
                    _report_missing(report, net, file)
            self.close = stack.pop_all().close

    def copy(self, missing=WARN):
        """Give the nets the values, after a look at what they do not have for `missing`."""
        pairs = list(zip(self._nets, self.reports, strict=True))
        warnings = [line for net, report in pairs for line in report.judge(net, missing)]
        for _, blob, saved in self.steps:
            saved.copy_to(blob)
        for net, report in pairs:
            for blob in report.filled:
                if blob in net.code_scales:
                    blob.data[...] = net.code_scales[blob].normalized(blob.data)
        for net, report in pairs:
            net.mark_filled(report.filled)
            warnings += report.settle(net.layers)
        for line in dict.fromkeys(warnings):  # the nets of a solver have the same to say
            log.warning("%s", line)

    def digest(self, net):
        """What tells the net's weights from all others, once they are copied."""
        return _digest(net, [(where, blob, saved.crc) for where, blob, saved in self.steps])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _report_missing(report, net, file):
    for layer in net.layers:
        if layer.name not in file.names:
            report.add(file.path, layer.name, NOT_IN_FILE, [blob.shape for blob in layer.blobs])


def _pair_binary(net, file, report):
    """Yield the steps that load a .caffemodel; of layers with one name the first has it."""
    targets = {layer.name: layer for layer in reversed(net.layers)}
    for name, saved in file.layers:
        shapes = [source.shape for source in saved]
        if name not in targets:
            log.info("Ignoring source layer %s", name)
            report.add(file.path, name, NOT_IN_NET, shapes)
        elif saved or targets[name].blobs:
            yield from _pair_layer(targets[name], saved, file.path)
            report.add(file.path, name, COPIED, shapes)


def _pair_layer(layer, saved, path):
    if len(saved) != len(layer.blobs):
        raise _wrong_count(layer, len(saved), path)
    shapes = [source.shape for source in saved]
    saved = [
        saved[at] if shape == shapes[at] else replace(saved[at], shape=shape, legacy=False)
        for at, shape in layer.arrange(shapes)
    ]
    for index, (blob, source) in enumerate(zip(layer.blobs, saved, strict=True)):
        if not source.fits(blob.shape):
            raise _misfit(layer, index, source.shape, path)
        for what, size in (("values", source.data.size), ("diffs", source.diff.size or blob.count)):
            if size != blob.count:
                words = f"expected {blob.count} for the shape {blob.shape}"
                raise _blob_error(layer, index, f"{size} {what}", path, words)
        yield (layer.name, index), blob, source


_rename_hint = "; to train this layer afresh, give it a name that the file does not hold"


def _misfit(layer, index, shape, path):
    words = f"expected {layer.blobs[index].shape}{_rename_hint}"
    return _blob_error(layer, index, f"the shape {shape}", path, words)


def _blob_error(layer, index, found, path, expected):
    name = layer.blob_names[index]
    words = f'{path} holds {found} for blob {index} ("{name}"), {expected}'
    return layer.error(words, WeightsError, blob=name)


def _wrong_count(layer, count, path):
    return layer.error(
        f"{path} holds {count} blobs for this layer, "
        f"expected {len(layer.blobs)}{layer.blobs_hint(count)}{_rename_hint}",
        WeightsError,
    )


def _pair_hdf5(net, file, report):
    """Yield the steps that load an HDF5 file; of layers with one name the last has it."""
    targets = {layer.name: layer for layer in net.layers}
    for name in file.names:
        if name not in targets:
            log.info("Ignoring source layer %s", name)
            report.add(file.path, name, NOT_IN_NET, _shapes_hdf5(file, name))
            continue
        saved = file.blobs(name)
        yield from _pair_layer_hdf5(net, file, targets[name], saved)
        report.add(file.path, name, COPIED, [blob.shape for blob in saved.values()])


def _shapes_hdf5(file, name):
    """The shapes of a layer's blobs; of something else, which nobody needs to read, nothing."""
    try:
        return [blob.shape for blob in file.blobs(name).values()]
    except DataError:
        return []


def _pair_layer_hdf5(net, file, layer, saved):
    if len(saved) > len(layer.blobs):
        raise _wrong_count(layer, len(saved), file.path)
    own = [
        index
        for index, blob in enumerate(layer.blobs)
        if str(index) in saved or net.owner_of(blob) is blob  # others may be with their owner
    ]
    sources = [saved.get(str(index)) or file.blob(layer.name, str(index)) for index in own]
    shapes = [source.shape for source in sources]
    places = layer.arrange(shapes) if len(own) == len(layer.blobs) else enumerate(shapes)
    for index, (at, shape) in zip(own, places, strict=True):
        if shape != layer.blobs[index].shape:
            raise _misfit(layer, index, shape, file.path)
        sources[at].check()
        yield (layer.name, index), layer.blobs[index], sources[at]


# Writing


def _values(net, blob):
    """What files hold of a learnable blob."""
    scale = net.code_scales.get(blob)
    return scale.plain(blob.data) if scale else blob.data


def save_binary(net, path, diff=False):
    """Write a .caffemodel: every layer of the built net with its options and its blobs."""
    write_atomically(path, binary_contents(net, diff)[0])


def save_hdf5(net, path, diff=False):
    """Write a .caffemodel.h5: /data/LAYER/INDEX; a blob shared from another owner is left out."""
    write_atomically(path, hdf5_contents(net, diff)[0])


def binary_contents(net, diff=False):
    """The chunks of a .caffemodel, and the digest of its weights."""
    saved = _saved(net)
    lines = [checksum.line(*where, blob.shape, crc) for where, blob, crc in saved]
    if diff:
        for where, blob, _ in saved:
            crc = checksum.of_array(blob.diff)
            lines.append(checksum.line(*where, blob.shape, crc, of="diff"))
    top = caffe_pb2.NetParameter(name=net.name, checksum=checksum.of_lines(lines))
    layers = (_layer_chunks(net, layer, diff) for layer in net.layers)
    chunks = itertools.chain([message_bytes.serialize(top)], itertools.chain.from_iterable(layers))
    return chunks, _digest(net, saved)


def _saved(net, dtype=None):
    """[((layer name, index), blob, CRC of its values)], converted to `dtype` if given."""
    crcs = {
        blob: checksum.of_array(np.asarray(_values(net, blob), dtype))
        for layer in net.layers
        for blob in layer.blobs
    }
    return [
        ((layer.name, index), blob, crcs[blob])
        for layer in net.layers
        for index, blob in enumerate(layer.blobs)
    ]


def _digest(net, saved):
    """What tells these weights of a net from all others: the checksum of those not shared."""
    return checksum.of_lines(
        checksum.line(*where, blob.shape, crc)
        for where, blob, crc in saved
        if net.owner_of(blob) is blob
    )


def _layer_chunks(net, layer, diff):
    param = caffe_pb2.LayerParameter()
    param.CopyFrom(layer.param)
    param.ClearField("blobs")
    param.ClearField("source_line")
    param.phase = layer.phase
    blobs = [blob_message(b.shape, _values(net, b), b.diff if diff else None) for b in layer.blobs]
    return layer_message(param, blobs)


def layer_message(param, blobs):
    """The bytes of NetParameter.layer (field 100) for a layer and its blobs, in chunks."""
    head = message_bytes.serialize(param)
    chunks = [c for blob in blobs for c in (wire.header(7, sum(map(len, blob))), *blob)]
    return [wire.header(100, len(head) + sum(map(len, chunks))), head, *chunks]


def blob_message(shape, data, diff=None):
    """The bytes of a BlobProto, as a list of chunks: arrays pass at the speed of memory."""
    field = {4: (5, 6), 8: (8, 9)}[data.dtype.itemsize]
    chunks = [caffe_pb2.BlobProto(shape={"dim": shape}).SerializeToString()]
    for number, values in zip(field, (data, diff), strict=True):
        if values is not None and values.size:
            raw = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1)
            chunks += [wire.header(number, raw.nbytes), memoryview(raw.view(np.uint8))]
    return chunks


def hdf5_contents(net, diff=False):
    """The chunks of a .caffemodel.h5, and the digest of its weights, which is its checksum."""
    check_hdf5(net)
    digest = _digest(net, _saved(net, np.float32))

    def fill(file):
        file.attrs[CHECKSUM] = np.uint32(digest)
        for layer in net.layers:
            values = file.create_group(f"data/{layer.name}")
            diffs = file.create_group(f"diff/{layer.name}") if diff else None
            for index, blob in enumerate(layer.blobs):
                if net.owner_of(blob) is blob:
                    values.create_dataset(str(index), data=_values(net, blob), dtype="f4")
                if diff:
                    diffs.create_dataset(str(index), data=blob.diff, dtype="f4")

    return hdf5.image(fill), digest


def check_hdf5(net):
    """Raise an error for a net whose weights HDF5 cannot hold, or where the package is missing."""
    hdf5.package()
    names = set()
    for layer in net.layers:
        problem = hdf5_name_problem(layer.name)
        if layer.name in names:
            problem = (
                "HDF5 holds one layer of a name, and another has this one, too; "
                "rename one of the two, or save a .caffemodel"
            )
        if problem:
            raise layer.error(problem, WeightsError)
        names.add(layer.name)


def hdf5_name_problem(name):
    """What is wrong with a layer name that an HDF5 group cannot have; "" if it can."""
    if name not in ("", ".") and "/" not in name and "\0" not in name:
        return ""
    return (
        f'HDF5 cannot hold the layer name "{name}"; expected a name without slashes; '
        "rename the layer, or save a .caffemodel"
    )


# Sharing


def share_layers(net, other):
    """Let `net`'s learnable blobs use the values of `other`'s layers of the same names.

    So do those that share theirs by the name in `param`, whatever their layer's name. Returns all.
    """
    shared = []
    sources = {layer.name: layer for layer in reversed(other.layers)}
    for layer in net.layers:
        source = sources.get(layer.name)
        if source is None:
            continue
        ours, theirs = ([(b.shape, str(b.dtype)) for b in ly.blobs] for ly in (layer, source))
        if ours != theirs:
            raise layer.error(
                f"cannot share weights: its blobs have the shapes and types {ours}, "
                f"expected those of the other net's layer, {theirs}",
                WeightsError,
            )
        for blob, owner in zip(layer.blobs, source.blobs, strict=True):
            if owner in other.code_scales and blob not in net.code_scales:
                blob.data[...] = other.code_scales[owner].plain(owner.data)
            else:
                blob.share_data(owner)
            shared.append(blob)
    return shared + _share_followers(net, shared)


def _share_followers(net, shared):
    """Let blobs whose owner in the net is one of `shared`, and they are not, follow it there."""
    found = {id(blob) for blob in shared}
    followers = [
        blob
        for layer in net.layers
        for blob in layer.blobs
        if id(blob) not in found and id(net.owner_of(blob)) in found
    ]
    for blob in followers:
        blob.share_data(net.owner_of(blob))
    return followers
