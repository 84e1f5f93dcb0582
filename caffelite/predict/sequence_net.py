"""Nets that read one text whole, and then say another: an encoder, and a decoder."""

from __future__ import annotations

from collections.abc import Sequence

from ..data.text import Vocabulary, cut
from ..errors import DataError, NetError
from ..net import Net
from ..net.weights import check_weights
from ..types import Path
from .preprocessing import of_test_phase
from .text_net import Symbol, cont_of, encode
from .two_parts import apart, is_of_one_step, text_net


def reads_first(net: Net) -> bool:
    """Whether a net has inputs for a text of several steps, and others of one step."""
    shapes = [net.blobs[name].shape for name in net.inputs]
    one = [is_of_one_step(shape) for shape in shapes]
    return any(one) and any(len(s) == 2 and not o for s, o in zip(shapes, one, strict=True))


class SequenceNet:
    """A net for use whose inputs are a text and its cont, steps x 1, and symbols of one step.

    A text is filled up before it, as `caffelite dataset text --fill-before` does.

    Parameters
    ----------
    model, weights : the files
    given, vocabulary : the symbols of what is read, and of what is said, by their numbers
    names : what messages call these two
    allow_missing : whether layers that the weights lack may keep what their fillers gave them
    """

    def __init__(
        self,
        model: str,
        weights: Path,
        given: Vocabulary,
        vocabulary: Vocabulary,
        names: tuple[str, str] = ("the given vocabulary", "the vocabulary"),
        level: int = 0,
        stages: Sequence[str] = (),
        allow_missing: bool = False,
    ) -> None:
        check_weights(weights)
        param = of_test_phase(model, level, stages)
        words, self.seen = apart(param, model)
        missing = "warn" if allow_missing else "refuse"
        self.net = Net.from_param(param, model)
        self.net.only_look()
        self.net.copy_from(weights, missing=missing)
        cont = cont_of(self.net)
        inputs = [name for name in self.net.inputs if name != cont]
        if cont is None or len(inputs) != 1:
            raise NetError(
                f"{model}: expected two inputs for the text that is read, its symbols and cont, "
                f"and a recurrent layer over them; found {', '.join(self.net.inputs) or 'none'}"
            )
        self.cont, self.input = cont, inputs[0]
        self.given, self.names = given, names
        shape = self.net.blobs[self.seen].shape[1:]
        self.text = text_net(words, self.seen, shape, weights, vocabulary, names[1], model, missing)

    def read(self, text: str) -> None:
        """Let the decoder know what the encoder makes of a text."""
        symbols = cut(text, self.given.words)
        if not symbols:
            raise DataError("what is given is empty: expected a text that the net is to read")
        numbers = [0, *encode(symbols, self.given, "what is given", self.names[0])]
        data, cont = (self.net.blobs[name].data for name in (self.input, self.cont))
        first = len(data) - len(numbers)
        if first < 0:
            raise DataError(
                f"what is given has {len(symbols)} symbols, expected at most {len(data) - 1}: the "
                f'net\'s input "{self.input}" has {len(data)} steps, one of them for the beginning'
            )
        data[...] = cont[...] = 0
        data[first:, 0] = numbers
        cont[first + 1 :, 0] = 1
        self.net.forward()
        self.text.tell(self.net.blobs[self.seen].data[0])

    def answer(self, text: str, length: int, beam: int = 1) -> list[Symbol]:
        """What follows a text: the likeliest one of at most so many symbols, by a beam."""
        self.read(text)
        return self.text.likeliest([], length, beam)
