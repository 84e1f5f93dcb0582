"""What a file is, by what is in it: for errors about files that are mistaken for each other.

`mistake` makes the error of whoever finds that a file is not what it takes. It says what the file
is, and where such files go. A name tells nothing here: many a .caffemodel is a web page.
"""

import functools
import mmap
import os
import re
import stat
from typing import NamedTuple

from .errors import CaffeliteError, short
from .kept_bytes import path_of
from .reading import opened
from .types import Path

HEAD = 1 << 16  # bytes that most kinds are known by
_MOST_FIELDS = 20_000  # of a message's outermost ones, for its kind


class Kind(NamedTuple):
    """What a file is.

    `name` tells kinds apart, `what` says it with an article, `way` says where such a file goes, or
    what to do. `damage` is what is wrong with it, for whom the kind is right.
    """

    name: str
    what: str
    way: str = ""
    damage: str = ""
    is_text: bool = False


def mistake(
    path: Path,
    wanted: str,
    error: type[CaffeliteError],
    otherwise: str,
    takes: tuple[str, ...] = (),
) -> CaffeliteError:
    """The error for a file that is not what is `wanted`, or is damaged.

    Parameters
    ----------
    wanted : what should be there, in words
    otherwise : what to say where the file is of no known kind, or of one of these:
    takes : names of the kinds that the caller can read
    """
    kind = of(path) or _some_text(path)
    if kind is not None and kind.name not in (*takes, "binary", "empty"):
        return error(f"{path}: {_not_wanted(kind, wanted)}")
    return error(f"{path}: {kind.damage if kind and kind.damage else otherwise}")


def check(path: Path, wanted: str, error: type[CaffeliteError], takes: tuple[str, ...]) -> None:
    """Raise the error for a file that is of a known kind, and of none of those."""
    kind = of(path)
    if kind is not None and kind.name not in (*takes, "binary"):
        raise error(f"{path}: {_not_wanted(kind, wanted)}")


def text_mistake(head: bytes, path: Path, wanted: str, takes: tuple[str, ...] = ()) -> str:
    """What is wrong with a file that starts so, where text is `wanted`; "" if it may be that.

    Of texts, those are wrong that programs read, but for the kinds in `takes`.
    """
    kind = _of_head(head)
    if kind is None or kind.name in (*takes, "list", "empty"):
        return ""
    if kind.name == "binary":
        kind = of(path) or kind
    return _not_wanted(kind, wanted)


def _not_wanted(kind: Kind, wanted: str) -> str:
    return f"expected {wanted}, but this is {kind.what}{'; ' * bool(kind.way)}{kind.way}"


def of(path: Path) -> Kind | None:
    """The Kind of a file or folder; None if it is of no known kind, or cannot be read."""
    try:
        mode = os.stat(path_of(path)).st_mode
        if stat.S_ISDIR(mode):
            return _of_folder(path)
        if not stat.S_ISREG(mode):
            return None
        with opened(path, "rb") as file:
            head, size = file.read(HEAD), os.fstat(file.fileno()).st_size
            if size <= HEAD:
                return of_bytes(head)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _of_head(head, content)
    except (OSError, ValueError, CaffeliteError):
        return None


def _some_text(path: Path) -> Kind | None:
    """The Kind of a file of no known kind whose first line can be shown: it may say what it is."""
    try:
        with opened(path, "rb") as file:
            first = re.match(rb"\s*([ -~]+)[\t ]*(?:\r?\n|\Z)", file.read(HEAD))
    except (OSError, CaffeliteError):
        return None
    return first and Kind("text", f'text, which begins "{short(first[1].decode())}"', is_text=True)


def of_bytes(content: bytes) -> Kind | None:
    """The Kind of a file that holds these bytes."""
    return _of_head(content[:HEAD], content)


def of_head(head: bytes) -> Kind | None:
    """The Kind of a file that starts so, where that tells."""
    kind = _of_head(head)
    return None if kind is None or kind.name == "binary" else kind


def _of_head(head: bytes, content: bytes | mmap.mmap = b"") -> Kind | None:
    """The Kind of what starts so; where it takes more, that of all the content, or "binary"."""
    if not head:
        return Kind("empty", "an empty file", damage="the file is empty")
    if not head.strip(b"\0"):
        what = f"a file of {f'{len(content):,} ' if content else ''}bytes that are all 0"
        return Kind("zeros", what, "it came to no end when it was fetched or copied; do it again")
    for kind, start in _patterns():
        if start.match(head):
            return kind
    if CONTROL.search(head.rstrip(b"\x1a")):  # Ctrl-Z, with which DOS ended texts
        return (_of_message(content) if content else None) or Kind("binary", "a binary file")
    return _of_text(head.decode("utf-8", "replace").lstrip("\ufeff"))


CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]")  # control characters other than white space


def _picture(name: str, article: str = "a") -> Kind:
    return Kind(name, f"{article} {name} picture")


def _packed(name: str) -> Kind:
    return Kind(name, f"packed ({name})", "unpack it first")


_CONVERT = (
    "save its arrays as safetensors, named LAYER/0, LAYER/1 as blobs are; caffelite convert makes "
    "weights of them"
)
_STATE = Kind(
    "solverstate",
    "a .solverstate, the state of a solver",
    "training goes on from it by --snapshot, in Python solver.restore; the weights are in a "
    ".caffemodel beside it",
)
_LFS = Kind(
    "Git LFS",
    "a Git LFS pointer, which stands for a file that was not fetched",
    'fetch it with "git lfs pull"',
)
_XML = rb"(?i:(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!doctype [^>]*>\s*)*)"
_COMMENTS = rb"(?:\xef\xbb\xbf)?(?:\s*#[^\n]*\n)*\s*"
_MODULES = rb"caffe|numpy|os|sys|re|cv2|argparse|json|time|random|math|glob|torch|matplotlib"

# Kinds, and how their files start; the first that fits. Lists of names must not start so.
_KINDS = [
    (
        Kind("UTF-16", "text in UTF-16", "save it as UTF-8"),
        rb"\xff\xfe|\xfe\xff|(?:\0[^\0]){4}|(?:[\t\n\r -~]\0){4}",
    ),
    (_LFS, rb"version https://git-lfs"),
    (
        Kind("HTML", "a web page (HTML)", "download the file itself"),
        rb"(?i:(?:\xef\xbb\xbf)?\s*<(?:!doctype html\b|html\b|head>\s*<))",
    ),
    # Pictures that are read, by Pillow's names, and others.
    (_picture("JPEG"), rb"\xff\xd8\xff"),
    (_picture("PNG"), rb"\x89PNG\r\n\x1a\n"),
    (_picture("GIF"), rb"GIF8[79]a"),
    (_picture("TIFF"), rb"II\*\0|MM\0\*|II\0\*|MM\*\0|II\+\0|MM\0\+"),
    (_picture("BMP"), rb"BM(?=.{0,14}[\0-\x08])"),
    (_picture("PPM"), rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s"),
    (_picture("WEBP"), rb"RIFF....WEBP"),
    (_picture("EPS", "an"), rb"%!PS|\xc5\xd0\xd3\xc6.{0,4}[\0-\x08]"),
    (Kind("PDF", "a PDF file"), rb"%PDF"),
    (_picture("JPEG 2000"), rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    (_picture("JPEG XL"), rb"\xff\x0a|\0\0\0\x0cJXL "),
    (_picture("Photoshop (PSD)"), rb"8BPS\0"),
    (Kind("ICO", "an icon (ICO)"), rb"\0\0\x01\0"),
    (Kind("ICNS", "an icon (ICNS)"), rb"icns.{0,3}[\0-\x08]"),
    (_picture("TGA"), rb"\0\0[\x02\x0a]\0{9}"),
    (_picture("DDS"), rb"DDS \x7c"),
    (_picture("BLP"), rb"BLP[12][\0-\x08]"),
    (_picture("QOI"), rb"qoif\0"),
    (_picture("OpenEXR", "an"), rb"\x76\x2f\x31\x01"),
    (_picture("Radiance HDR"), rb"#\?RADIANCE|#\?RGBE"),
    (_picture("PAM"), rb"P7\n(?:#|WIDTH)"),
    (_picture("PFM"), rb"P[Ff]\n\d+ \d+\s"),
    (_picture("FITS"), rb"SIMPLE  ="),
    (_picture("SGI", "an"), rb"\x01\xda"),
    (_picture("AVIF", "an"), rb"\0.{3}ftypavi[fs]"),
    (_picture("HEIC"), rb"\0.{3}ftyp(?:hei|hev|mif1|msf1)"),
    (_picture("DICOM"), rb".{128}DICM"),
    (_picture("SVG", "an"), _XML + rb"<svg\b"),
    # Packed files.
    (_packed("gzip"), rb"\x1f\x8b"),
    (_packed("bzip2"), rb"BZh[1-9]1AY"),
    (_packed("xz"), rb"\xfd7zXZ\0"),
    (_packed("zstd"), rb"\x28\xb5\x2f\xfd"),
    (_packed("7z"), rb"7z\xbc\xaf\x27\x1c"),
    (_packed("rar"), rb"Rar!\x1a\x07"),
    (Kind("tar", "a tar", "of pictures, it is for backend: TAR in data_param"), rb".{257}ustar"),
    (
        Kind("torch", "a PyTorch file (a zip)", _CONVERT),
        rb"PK\x03\x04.{26}[\w.-]+/(?:data\.pkl|constants\.pkl|byteorder|\.format_version)",
    ),
    (Kind("npz", "NumPy arrays (.npz)", _CONVERT), rb"PK\x03\x04.{26}[\w./-]+\.npy"),
    (
        Kind("Keras zip", "a Keras model (a zip)", _CONVERT),
        rb"PK\x03\x04.{26}(?:metadata\.json|config\.json|model\.weights\.h5)",
    ),
    (_packed("zip"), rb"PK\x03\x04|PK\x05\x06"),
    # What programs write.
    (
        Kind("npy", "a NumPy array (.npy)", "caffelite reads one array from a .binaryproto"),
        rb"\x93NUMPY",
    ),
    (
        Kind("torch", "an old PyTorch file (a pickle)", _CONVERT),
        rb"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
    ),
    (Kind("pickle", "a Python pickle", _CONVERT), rb"\x80[\x02-\x05](?:\x95|[}\](c])"),
    (Kind("torch 7", "a Torch 7 file (.t7)", _CONVERT), rb"[\x01-\x04]\0\0\0.{4}\x03\0\0\0V \d"),
    (
        Kind("safetensors", "a safetensors file", "caffelite convert makes weights of it"),
        rb'.{3}\0{5}\{"',
    ),
    (Kind("TensorFlow Lite", "a TensorFlow Lite model", _CONVERT), rb".\0\0\0TFL3"),
    (Kind("GGUF", "a GGUF model"), rb"GGUF[\0-\x08]"),
    (Kind("MATLAB", "a MATLAB file (.mat)"), rb"MATLAB \d\.\d"),
    (Kind("SQLite", "an SQLite database"), rb"SQLite format 3"),
    (
        Kind("data.mdb", "the data file of an LMDB", "an LMDB is the folder that holds it"),
        rb"\0{8}.{8}\xde\xc0\xef\xbe",
    ),
    (
        Kind(
            "darknet weights",
            "weights of Darknet (.weights)",
            "caffelite convert makes a .caffemodel of them, with their .cfg as --model",
        ),
        rb"\0{4}[\x01\x02]\0{3}[\0-\x09]\0{3}.{6}",
    ),
    (Kind("program", "a program"), rb"\x7fELF|MZ\x90\0|\xcf\xfa\xed\xfe\x07"),
    (
        Kind("Keras", "a Keras model (HDF5)", _CONVERT),
        rb"\x89HDF\r\n\x1a\n.*(?:keras_version|model_weights|layer_names)",
    ),
    (
        _STATE._replace(name="solverstate.h5", what="a .solverstate.h5, the state of a solver"),
        rb"\x89HDF\r\n\x1a\n(?=.*learned_net\0).*history\0",
    ),
    (Kind("HDF5", "an HDF5 file"), rb"\x89HDF\r\n\x1a\n"),
    # Text.
    (Kind("OpenVINO", "an OpenVINO model (XML)", _CONVERT, is_text=True), _XML + rb"<net\s+\w+="),
    (
        Kind("VOC", "an annotation of a picture (XML)", is_text=True),
        _XML + rb"<annotation[^>]*>\s*<",
    ),
    (Kind("XML", "XML", is_text=True), rb"(?:\xef\xbb\xbf)?\s*<\?xml\b"),
    (
        Kind("script", "a Python script", "caffelite run runs scripts of pycaffe", is_text=True),
        rb"#![^\n]*python|"
        + _COMMENTS
        + rb"(?:from [\w.]+ import |import (?:"
        + _MODULES
        + rb")\b)",
    ),
    (
        Kind(
            "darknet",
            "the text of a Darknet net (.cfg)",
            "caffelite convert makes a prototxt of it",
            is_text=True,
        ),
        _COMMENTS + rb"\[net(?:work)?\]\s*\n[\s#\w]",
    ),
    (Kind("ncnn", "the text of an NCNN net", is_text=True), rb"7767517"),
]


@functools.cache
def _patterns() -> list[tuple[Kind, re.Pattern[bytes]]]:
    return [(kind, re.compile(start, re.DOTALL)) for kind, start in _KINDS]


# Text

_NET = Kind(
    "net",
    "the text of a net (a prototxt)",
    "nets are given as --model, in Python first: Net(model, phase, weights=...)",
    is_text=True,
)
_SOLVER = Kind(
    "solver",
    "the text of a solver (a prototxt)",
    "solvers are given to caffelite train --solver, in Python to get_solver",
    is_text=True,
)
_LOG = Kind("log", "the log of a training", "caffelite plot and parse_log read it", is_text=True)
_FIELD = re.compile(r"^[ \t]*(\w+)[ \t]*[:{<]", re.MULTILINE)
_OF_NET = {"layer", "layers", "input_dim", "input_shape", "input_param"}
_OF_SOLVER = {"base_lr", "lr_policy", "max_iter", "solver_mode", "test_iter", "train_net"}
_FIRST = _OF_NET | _OF_SOLVER | {
    "name", "input", "force_backward", "state", "debug_info", "net", "net_param", "test_net",
    "train_net_param", "snapshot_prefix", "snapshot", "type", "solver_type", "weights", "display",
    "test_interval", "momentum", "weight_decay", "random_seed", "iter_size", "average_loss",
}  # fmt: skip


def _of_text(text: str) -> Kind | None:
    first = text.lstrip()[:1]
    if first in "{[":
        return _of_json(text)
    if re.match(r"(?:\[[^\]\n]*\]\s*)?[IWEF]\d{4,8} \d\d:\d\d:\d\d\.\d{3,}\s", text) or re.match(
        r"Log file created at:", text
    ):
        return _LOG
    bare = re.sub("#.*", "", text).lstrip()
    fields = _FIELD.findall(bare)
    if fields and fields[0] in _FIRST and bare.startswith(fields[0]):
        if not _OF_SOLVER.isdisjoint(fields) or re.match(r"net\s*:\s*[\"']", bare):
            return _SOLVER
        if not _OF_NET.isdisjoint(fields):
            return _NET
    lines = [line for line in text.split("\n", 20)[:20] if line.strip()]
    if lines and all(re.search(r"\.\w{2,5} -?\d+\s*$", line) for line in lines[:-1] or lines):
        return Kind("list", "a list of files with their labels", is_text=True)
    return None


def _of_json(text: str) -> Kind | None:
    """JSON, by its start: a file of it may be large."""
    start = re.match(r'\s*(\{\s*("[^"\n]*"\s*:|\}\s*$|\}\s*\n)|\[\s*["{\[])', text)
    if not start:
        return None
    if re.match(r'\s*\{"event": *"', text):
        return _LOG
    if '"nbformat"' in text or '"cell_type"' in text:
        return Kind("notebook", "a Jupyter notebook", "caffelite run runs it", is_text=True)
    return Kind("JSON", "JSON", is_text=True)


# Messages

_MESSAGES = {
    "SolverState": _STATE,
    "NetParameter": Kind(
        "caffemodel",
        "a .caffemodel, the weights of a net",
        "weights are given as --weights, in Python Net(model, phase, weights=...)",
    ),
    "BlobProto": Kind(
        "binaryproto",
        "a BlobProto, one array, as a mean is (.binaryproto)",
        "a mean is given as mean_file in transform_param, or as --mean",
    ),
    "Datum": Kind("Datum", "a Datum, one record of a database"),
    "BlobProtoVector": Kind("BlobProtoVector", "a BlobProtoVector, several arrays"),
    "ONNX": Kind("ONNX", "an ONNX model", _CONVERT),
    "GraphDef": Kind("TensorFlow", "a TensorFlow graph (.pb)", _CONVERT),
    "SavedModel": Kind("TensorFlow", "a TensorFlow model (saved_model.pb)", _CONVERT),
}


def _of_message(content: bytes | mmap.mmap) -> Kind | None:
    from .proto.message_kind import message_kind

    found = message_kind(content)
    if found is None:
        return None
    kind = _MESSAGES[found.name]
    if not found.missing:
        return kind
    cut = f"was cut off: of its last field {found.missing:,} bytes are missing"
    way = "fetch or copy it again"
    damage = f"damaged: it {cut}; {way}"
    return kind._replace(what=f"{kind.what}, which {cut}", way=way, damage=damage)


# Folders


def _of_folder(path: Path) -> Kind:
    names = set(os.listdir(path_of(path)))
    if "data.mdb" in names:
        return Kind("LMDB", "an LMDB", "databases are the source in data_param")
    if "CURRENT" in names:
        return Kind("LevelDB", "a LevelDB", "databases are the source in data_param")
    if "saved_model.pb" in names:
        return Kind("TensorFlow", "a TensorFlow model (a folder)", _CONVERT)
    return Kind("folder", "a folder" if names else "an empty folder", "name a file in it")
