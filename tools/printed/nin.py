"""NIN."""

from ._line import line
from ._nets import count, error, of_type, zoo


def lines():
    net = zoo("nin-imagenet")
    every = count(net)
    blocks = len(of_type(net, "Convolution")) // 3
    yield line("000", "A simple ... NIN", "4 layer", blocks, remark="blocks of 3 convolutions")
    yield line("000", "NIN, Parameter Number", "7.5 Million", every)
    yield line("000", "NIN", "29 Megabytes", every * 4 / 2**20)
    wrong = error("nin-imagenet", 1)
    card = f"an error, as the deck's; the card says what is right, {100 - wrong:g} %, of one crop"
    yield line("000", "NIN, Top 1", "39.2%", wrong, remark=card)
