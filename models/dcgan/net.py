"""DCGAN for digits: a generator of fractionally strided convolutions against a convolutional net.

Radford, Metz, Chintala 2015; sizes are this program's own.

lint: ignore unused-top (what share of pictures the discriminator is right about)
lint: ignore uneven-overlap (maps of 4 x 4 become 7 x 7)
"""

from functools import partial

from caffelite.models.adversarial import (
    NOISE,
    Game,
    cross_entropy,
    digits,
    judge_digits,
    make_digits,
)

WIDTHS = 64, 128, 256  # maps of the discriminator's stages, and back of the generator's


def net(n):
    make_digits(n, widths=WIDTHS[::-1])


judge = partial(judge_digits, widths=WIDTHS, size=4)
losses = partial(cross_entropy, sure=0.9)
program = Game("DCGAN-digits", net, digits(64), (64, NOISE), judge=judge, losses=losses)
