"""Wasserstein GAN for digits: the nets of `dcgan`, the second as a critic with bounded weights.

Arjovsky, Chintala, Bottou 2017.
"""

from caffelite.models.adversarial import NOISE, Game, digits, judge_digits, make_digits, wasserstein


def net(n):
    make_digits(n)


program = Game("WGAN-digits", net, digits(64), (64, NOISE), judge=judge_digits, losses=wasserstein)
