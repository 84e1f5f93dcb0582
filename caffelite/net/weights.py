""".caffemodel and HDF5 weights in and out, and sharing weights between nets."""

import itertools
import logging
import mmap
import os
from dataclasses import dataclass, replace

import numpy as np
from google.protobuf.message import DecodeError

from ..atomic import write_atomically
from ..data import hdf5
from ..errors import DataError, ProtoError, WeightsError
from ..proto import caffe_pb2, wire
from .transfer import COPIED, NOT_IN_FILE, NOT_IN_NET, Transfer

log = logging.getLogger("caffelite")

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass
class SavedBlob:
    """One BlobProto of a file: its shape, and views of its values."""

    shape: tuple
    legacy: bool  # shape came as num, channels, height, width
    data: np.ndarray
    diff: np.ndarray
    place: int | None = None  # where in the file the values are, if in one piece

    def copy_to(self, blob, file):
        """Give a blob these values; `file` is the one that they are in, open.

        Reading it anew, past the mapping, keeps a model of any size in memory once, not twice.
        """
        if self.place is not None and self.data.dtype == blob.dtype:
            file.seek(self.place)
            file.readinto(memoryview(blob.unfilled().reshape(-1)).cast("B"))
        else:
            blob.assign(self.data)
        if self.diff.size:
            blob.diff.reshape(-1)[...] = self.diff

    def fits(self, shape):
        """Whether the values may go into a blob of this shape.

        A legacy shape is right-aligned: (1, 1, 1, N) fits (N).
        """
        if self.legacy:
            return len(shape) <= 4 and (1,) * (4 - len(shape)) + tuple(shape) == self.shape
        return tuple(shape) == self.shape


# Reading


def copy_from(net, path):
    """Load weights files, one or several separated by commas; returns a Transfer."""
    report = Transfer()
    for one in _files(path):
        report += load_hdf5(net, one) if is_hdf5(one) else load_binary(net, one)
    return report


def _files(path):
    path = os.fspath(path)
    return [path] if os.path.exists(path) else [part.strip() for part in path.split(",")]


def is_hdf5(path):
    """Whether a weights file is HDF5, by its first bytes."""
    try:
        with open(path, "rb") as file:
            return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    except OSError as problem:
        raise WeightsError(f"{path}: cannot read the weights: {problem.strerror}") from None


def load_binary(net, path):
    """Load a .caffemodel; returns a Transfer. Nothing is changed unless all of it fits."""
    targets = {}
    for layer in net.layers:
        targets.setdefault(layer.name, layer)
    plan, report, named = [], Transfer(), set()
    for name, saved in read_binary(path):
        shapes = [source.shape for source in saved]
        named.add(name)
        if name not in targets:
            log.info("Ignoring source layer %s", name)
            report.add(path, name, NOT_IN_NET, shapes)
        elif saved or targets[name].blobs:
            plan += _pair(targets[name], saved, path)
            report.add(path, name, COPIED, shapes)
    with open(path, "rb") as file:
        for blob, source in plan:
            source.copy_to(blob, file)
    report.filled += [blob for blob, _ in plan]
    return _finish(report, net, path, named)


def _finish(report, net, path, named):
    for layer in net.layers:
        if layer.name not in named:
            report.add(path, layer.name, NOT_IN_FILE, [blob.shape for blob in layer.blobs])
    report.log()
    return report


def _pair(layer, saved, path):
    if len(saved) != len(layer.blobs):
        raise WeightsError(
            f"{layer.at}: {path} holds {len(saved)} blobs for this layer, "
            f"expected {len(layer.blobs)}{layer.blobs_hint(len(saved))}{_rename_hint}"
        )
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
                raise WeightsError(
                    f"{layer.at}: {path} holds {size} {what} for blob {index} "
                    f'("{layer.blob_names[index]}"), expected {blob.count} for the shape '
                    f"{blob.shape}"
                )
    return zip(layer.blobs, saved, strict=True)


_rename_hint = "; to train this layer afresh, give it a name that the file does not hold"


def _misfit(layer, index, shape, path):
    return WeightsError(
        f'{layer.at}: {path} holds the shape {shape} for blob {index} ("{layer.blob_names[index]}")'
        f", expected {layer.blobs[index].shape}{_rename_hint}"
    )


# (number of name, number of blobs) in LayerParameter, V1LayerParameter, V0LayerParameter
_CURRENT, _V1, _V0 = (1, 7), (4, 6), (1, 50)


def read_binary(path):
    """[(layer name, [SavedBlob])] of a .caffemodel of any age, in file order.

    The arrays view the mapped file, so a large model is neither parsed nor copied. Only names and
    blobs are looked at: layers of any fork can be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise WeightsError(f"{path}: the file is empty, expected a .caffemodel")
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        found = {2: [], 100: []}
        for number, kind, span in wire.fields(buffer, 0, size):
            if number in found and kind == wire.LENGTH:
                layer = _read_layer(buffer, span, _CURRENT if number == 100 else _V1)
                found[number].append(layer)
    except (ProtoError, DecodeError, UnicodeDecodeError) as problem:
        raise WeightsError(f"{path}: not a .caffemodel, or a damaged one: {problem}") from None
    if not any(found.values()):
        raise WeightsError(f"{path}: holds no layers; expected a .caffemodel")
    if all(found.values()):
        raise WeightsError(
            f'{path}: has layers of today\'s form ("layer", {len(found[100])}) and of the old one '
            f'("layers", {len(found[2])}), expected one kind; save it again from its net'
        )
    return found[100] or found[2]


def _read_layer(buffer, span, numbers):
    name_number, blobs_number = numbers
    name, blobs = "", []
    for number, kind, value in wire.fields(buffer, *span):
        if kind != wire.LENGTH:
            continue
        if numbers is _V1 and number == 1:
            name, blobs = _read_layer(buffer, value, _V0)
        elif number == name_number:
            name = str(buffer[value[0] : value[1]], "utf-8")
        elif number == blobs_number:
            blobs.append(read_blob(buffer, value))
    return name, blobs


def read_blob(buffer, span):
    """The SavedBlob of a BlobProto, the bytes `span` of the buffer."""
    parts = {number: [] for number in (5, 6, 8, 9)}
    legacy, shape = {}, None
    for number, kind, value in wire.fields(buffer, *span):
        if number in parts and kind != wire.VARINT:
            parts[number].append((kind, value))
        elif number in (1, 2, 3, 4) and kind == wire.VARINT:
            legacy[number] = value
        elif number == 7 and kind == wire.LENGTH:
            shape = tuple(caffe_pb2.BlobShape.FromString(buffer[value[0] : value[1]]).dim)
    singles = [wire.numbers(buffer, parts[number], "<f4") for number in (5, 6)]
    doubles = [wire.numbers(buffer, parts[number], "<f8") for number in (8, 9)]
    data, diff = (d if d.size else s for s, d in zip(singles, doubles, strict=True))
    if legacy:
        shape = tuple(legacy.get(number, 0) for number in (1, 2, 3, 4))
    runs = parts[8 if doubles[0].size else 5]
    place = runs[0][1][0] if len(runs) == 1 and data.size else None
    return SavedBlob(shape or (), bool(legacy), data, diff, place)


def load_hdf5(net, path):
    """Load a .caffemodel.h5; returns a Transfer. Nothing is changed unless all of it fits."""
    path = os.fspath(path)
    targets = {layer.name: layer for layer in net.layers}
    plan, report = [], Transfer()
    with hdf5.open_file(path) as file:
        layers = hdf5.group(file, "data")
        for name in layers:
            if name not in targets:
                log.info("Ignoring source layer %s", name)
                report.add(path, name, NOT_IN_NET, _shapes_hdf5(layers, name))
                continue
            plan += _pair_hdf5(net, targets[name], hdf5.group(layers, name), path)
            report.add(path, name, COPIED, _shapes_hdf5(layers, name))
        for blob, dataset in plan:
            target = blob.unfilled()
            if target.size:
                dataset.read_direct(target.reshape(dataset.shape))
        report.filled += [blob for blob, _ in plan]
        return _finish(report, net, path, set(layers))


def _shapes_hdf5(layers, name):
    """The shapes of a layer's blobs; of something else, which nobody needs to read, nothing."""
    try:
        group = hdf5.group(layers, name)
        return [hdf5.dataset(group, index, least_axes=0).shape for index in group]
    except DataError:
        return []


def _pair_hdf5(net, layer, group, path):
    if len(group) > len(layer.blobs):
        raise WeightsError(
            f"{layer.at}: {path} holds {len(group)} blobs for this layer, "
            f"expected {len(layer.blobs)}{layer.blobs_hint(len(group))}{_rename_hint}"
        )
    own = [
        index
        for index, blob in enumerate(layer.blobs)
        if str(index) in group or net.owner_of(blob) is blob  # others may be with their owner
    ]
    saved = [hdf5.dataset(group, str(index), least_axes=0) for index in own]
    shapes = [dataset.shape for dataset in saved]
    places = layer.arrange(shapes) if len(own) == len(layer.blobs) else enumerate(shapes)
    for index, (at, shape) in zip(own, places, strict=True):
        if shape != layer.blobs[index].shape:
            raise _misfit(layer, index, shape, path)
        yield layer.blobs[index], saved[at]


# Writing


def save_binary(net, path, diff=False):
    """Write a .caffemodel: every layer of the built net with its options and its blobs."""
    top = caffe_pb2.NetParameter(name=net.name).SerializeToString()
    layers = (_layer_chunks(layer, diff) for layer in net.layers)
    write_atomically(path, itertools.chain([top], itertools.chain.from_iterable(layers)))


def _layer_chunks(layer, diff):
    param = caffe_pb2.LayerParameter()
    param.CopyFrom(layer.param)
    param.ClearField("blobs")
    param.ClearField("source_line")
    param.phase = layer.phase
    blobs = [blob_message(b.shape, b.data, b.diff if diff else None) for b in layer.blobs]
    return layer_message(param, blobs)


def layer_message(param, blobs):
    """The bytes of NetParameter.layer (field 100) for a layer and its blobs, in chunks."""
    head = param.SerializeToString()
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


def save_hdf5(net, path, diff=False):
    """Write a .caffemodel.h5: /data/LAYER/INDEX; a blob shared from another owner is left out."""

    def write(file):
        for layer in net.layers:
            check_hdf5_name(layer.name, layer.at)
            if f"data/{layer.name}" in file:
                raise WeightsError(
                    f"{layer.at}: HDF5 holds one layer of a name, and another has this one, too; "
                    "rename one of the two, or save a .caffemodel"
                )
            values = file.create_group(f"data/{layer.name}")
            diffs = file.create_group(f"diff/{layer.name}") if diff else None
            for index, blob in enumerate(layer.blobs):
                if net.owner_of(blob) is blob:
                    values.create_dataset(str(index), data=blob.data, dtype="f4")
                if diff:
                    diffs.create_dataset(str(index), data=blob.diff, dtype="f4")

    hdf5.write_file(path, write)


def check_hdf5_name(name, at):
    """Raise an error for a layer name that an HDF5 group cannot have."""
    if name in ("", ".") or "/" in name or "\0" in name:
        raise WeightsError(
            f'{at}: HDF5 cannot hold the layer name "{name}"; expected a name without slashes; '
            "rename the layer, or save a .caffemodel"
        )


# Sharing


def share_layers(net, other):
    """Let `net`'s learnable blobs use the values of `other`'s layers of the same names."""
    sources = {layer.name: layer for layer in reversed(other.layers)}
    for layer in net.layers:
        source = sources.get(layer.name)
        if source is None:
            continue
        ours, theirs = ([(b.shape, str(b.dtype)) for b in ly.blobs] for ly in (layer, source))
        if ours != theirs:
            raise WeightsError(
                f"{layer.at}: cannot share weights: its blobs have the shapes and types {ours}, "
                f"expected those of the other net's layer, {theirs}"
            )
        for blob, owner in zip(layer.blobs, source.blobs, strict=True):
            blob.share_data(owner)
