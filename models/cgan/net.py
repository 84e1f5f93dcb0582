"""Conditional GAN for digits: as `dcgan`, but both players are given the label.

Mirza, Osindero 2014, with the nets of Radford, Metz, Chintala 2015, and labels given to the
discriminator as Miyato, Koyama 2018 do; sizes are this program's own.

lint: ignore unused-top (what share of pictures the discriminator is right about)
"""

from functools import partial

from caffelite.models.adversarial import (
    NOISE,
    Game,
    cross_entropy,
    digits,
    judge_labelled,
    make_digits,
)


def net(n):
    make_digits(n)


program = Game(
    "CGAN-digits",
    net,
    digits(64, labels=True),
    (64, NOISE),
    judge=judge_labelled,
    losses=partial(cross_entropy, sure=0.9),
)
