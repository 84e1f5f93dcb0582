"""Every exception caffelite raises for a user's mistake, and the one way to say where."""

import difflib
import re
from collections.abc import Iterable
from typing import Any


class CaffeliteError(RuntimeError):
    """A mistake in what the user gave: a file, an option, a shape, a value.

    Derived from RuntimeError, which is what pycaffe raises. The message is complete: the command
    line prints it as it stands, without a traceback. What it is joined of is at hand, too:

    file, line, column : where the mistake is, as far as that is known, else "" and 0
    layer, layer_type : the name and type of the layer that it is about; None, "" if it is none
    blob : the name of the blob that it is about, "" if it is none
    item : which sample of that blob it is about, counted from 0 in a batch; None if it is none
    words : what is wrong, without file, line and layer
    """

    def __init__(
        self,
        *args: object,
        file: Any = "",
        line: int = 0,
        column: int = 0,
        layer: str | None = None,
        layer_type: str = "",
        blob: str = "",
        item: int | None = None,
    ) -> None:
        self.file, self.line, self.column = file, line, column
        self.layer, self.layer_type, self.blob, self.item = layer, layer_type, blob, item
        self.words = str(args[0]) if args else ""
        at = place(file, line, column, layer, layer_type)
        super().__init__(*[f"{at}: {self.words}", *args[1:]] if at else args)

    def with_more(self, words: str) -> "CaffeliteError":
        """The same error, with more words behind its own."""
        return type(self)(
            f"{self.words}; {words}",
            file=self.file,
            line=self.line,
            column=self.column,
            layer=self.layer,
            layer_type=self.layer_type,
            blob=self.blob,
            item=self.item,
        )

    @property
    def without_line(self) -> str:
        """The message without file, line and column, for whom these are no news."""
        named = place(layer=self.layer, layer_type=self.layer_type)
        return f"{named}: {self.words}" if named else self.words


class ProtoError(CaffeliteError):
    """A prototxt, caffemodel or other message that cannot be read."""


class NetError(CaffeliteError):
    """A net that cannot be built or run: wiring, shapes, unknown layer types."""


class DataError(CaffeliteError):
    """A data source that is missing, broken or does not hold what the net expects."""


class WeightsError(CaffeliteError):
    """Weights that cannot be read or do not fit the net."""


class SolverError(CaffeliteError):
    """A solver whose options contradict each other, or a training run that cannot go on."""


def where(file: Any, line: int = 0, column: int = 0) -> str:
    """ "FILE:LINE:COLUMN", leaving out what is unknown (0 or empty)."""
    return ":".join(str(part) for part in (file, line, column) if part)


def place(
    file: Any = "",
    line: int = 0,
    column: int = 0,
    layer: str | None = None,
    layer_type: str = "",
) -> str:
    """'FILE:LINE: layer "NAME" (TYPE)', leaving out what is unknown."""
    parts = [where(file, line, column)]
    if layer is not None:
        parts.append(f'layer "{layer}"' + (f" ({layer_type})" if layer_type else ""))
    return ": ".join(filter(None, parts))


def place_of(layer: Any, file: Any = "") -> dict[str, Any]:
    """The arguments of `place`, and of errors, for a LayerParameter."""
    line, name, kind = layer.source_line, layer.name, layer.type
    return {"file": file, "line": line, "layer": name, "layer_type": kind}


def short(found: str, length: int = 40) -> str:
    """What was found, without what is beyond `length` characters."""
    return found if len(found) <= length else found[:length] + "..."


def did_you_mean(word: str, known: Iterable[str], most: int = 1) -> str:
    """'; did you mean "X"?' for the nearest of `known`, or '' when none is near.

    Near is what differs in a letter or two, begins with the word, or has it as one of its words, as
    base_lr has lr. Of several, `most` are named; one that differs in case alone, by itself. An
    ending that all options have makes none nearer.
    """
    ending = "_param" if word.lower().endswith("_param") else ""
    by_lower = {k.lower().removesuffix(ending): k for k in known}
    wanted = word.lower().removesuffix(ending)
    cutoff = 0.75 if len(wanted) > 3 else 0.65
    near = difflib.get_close_matches(wanted, by_lower, n=most, cutoff=cutoff)
    if near[:1] == [wanted]:
        near = near[:1]
    if not near and len(wanted) > 2:
        longer = (k for k in by_lower if k.startswith(wanted) or wanted in re.split(r"\W|_", k))
        near = sorted(longer, key=len)[:most]
    named = " or ".join(f'"{by_lower[name]}"' for name in near)
    return f"; did you mean {named}?" if near else ""


def missing_extra(package: str, extra: str) -> CaffeliteError:
    """The error for an optional package that is not installed."""
    return CaffeliteError(
        f"the package {package} is not installed; it comes with: pip install 'caffelite[{extra}]'"
    )
