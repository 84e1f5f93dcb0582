"""LSGAN for digits: the nets of `dcgan`, with squared distances from 1 and 0 as losses.

Mao, Li, Xie, Lau, Wang, Smolley 2017.

lint: ignore unused-top (what share of pictures the discriminator is right about)
"""

from caffelite.models.adversarial import NOISE, Game, digits, judge_digits, make_digits, squares


def net(n):
    make_digits(n)


program = Game("LSGAN-digits", net, digits(64), (64, NOISE), judge=judge_digits, losses=squares)
