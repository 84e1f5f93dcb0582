"""InfoGAN for digits: as `dcgan`, with ten codes that are to be told from what is made of them.

Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel 2016, with the nets of Radford, Metz, Chintala
2015; sizes are this program's own.

lint: ignore unused-top (what share of pictures the discriminator is right about)
"""

from caffelite.models.adversarial import (
    NOISE,
    OF_GENERATOR,
    Game,
    cross_entropy,
    dense,
    digits,
    judge_digits,
    leaky,
    make_digits,
)
from caffelite.net_spec import layers as L

CODES = 10


def net(n):
    make_digits(n)


def losses(n, real, fake):
    """The generator's net tells the code, too, from the discriminator's features."""
    cross_entropy(n, real, fake, sure=0.9)
    n.q_ip = dense(n.d_leaky2, 128, **OF_GENERATOR)
    n.q_leaky = leaky(n.q_ip, **OF_GENERATOR)
    n.q_code = dense(n.q_leaky, CODES, **OF_GENERATOR)
    n.q_loss = L.SoftmaxWithLoss(n.q_code, n.label, **OF_GENERATOR)


program = Game(
    "InfoGAN-digits",
    net,
    digits(64),
    (64, NOISE),
    judge=judge_digits,
    losses=losses,
    drawn_classes=CODES,
)
