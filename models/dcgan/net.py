"""DCGAN for digits: a generator of fractionally strided convolutions against a convolutional net.

Radford, Metz, Chintala 2015; sizes are this program's own.

lint: ignore unused-top (what share of pictures the discriminator is right about)
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


def net(n):
    make_digits(n)


losses = partial(cross_entropy, sure=0.9)
program = Game("DCGAN-digits", net, digits(64), (64, NOISE), judge=judge_digits, losses=losses)
