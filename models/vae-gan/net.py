"""VAE-GAN for digits: an autoencoder whose decoder is a generator, and a discriminator of both.

Larsen, Sonderby, Larochelle, Winther 2016, with the nets of Radford, Metz, Chintala 2015; sizes and
weights of losses are this program's own.
"""

from dataclasses import replace

from caffelite.models.adversarial import (
    ITS_OWN,
    NOISE,
    OF_GENERATOR,
    Game,
    conv,
    dense,
    digits,
    judge_digits,
    leaky,
    make_digits,
    normalize,
)
from caffelite.models.blocks import constant, gaussian
from caffelite.models.program import of_both_phases
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TRAIN, NetParameter

BATCH = 64
OF_ENCODER = {"include": {"stage": "encoder"}}
LIKE_TRUE = 0.001  # the weight of how far pictures are off, of half a squared distance


def make(n):
    make_digits(n)


def encode(n):
    """n.e_code of n.data: normally distributed, by a mean and the logarithm of a variance."""
    n.e_conv1 = conv(n.data, 64, 5, stride=2, pad=2)
    n.e_leaky1 = leaky(n.e_conv1)
    n.e_conv2 = conv(n.e_leaky1, 128, 5, stride=2, pad=2, bias_term=False)
    n.e_leaky2 = leaky(normalize(n, "e_conv2", n.e_conv2))
    n.e_mean = dense(n.e_leaky2, NOISE)
    n.e_log = dense(n.e_leaky2, NOISE)
    n.deviation = L.Exp(n.e_log, scale=0.5)
    n.spread = L.DummyData(shape={"dim": [BATCH, NOISE]}, data_filler=gaussian(1))
    n.off = L.Eltwise(n.deviation, n.spread, operation=P.Eltwise.PROD)
    n.e_code = L.Eltwise(n.e_mean, n.off)


def divergence(n):
    """Of codes from standard normal noise, the mean of 1/2 sum (m^2 + s^2 - log s^2 - 1)."""
    n.e_square = L.Power(n.e_mean, power=2, **OF_ENCODER)
    n.e_variance = L.Exp(n.e_log, **OF_ENCODER)
    terms = {"coeff": [0.5, 0.5, -0.5], **OF_ENCODER}
    n.e_terms = L.Eltwise(n.e_square, n.e_variance, n.e_log, **terms)
    n.e_shifted = L.Power(n.e_terms, shift=-0.5, **OF_ENCODER)
    n.divergence = L.Reduction(n.e_shifted, coeff=1 / BATCH, loss_weight=1, **OF_ENCODER)


class Autoencoder(Game):
    """Three players: discriminator, encoder, generator. Only losses are of one alone."""

    def train_val(self):
        n = NetSpec()
        n.tops.update(self.samples.layer(TRAIN))
        own = len(n.to_proto().layer)
        n.noise = L.DummyData(shape={"dim": [BATCH, NOISE]}, data_filler=gaussian(1))
        encode(n)
        n.codes = L.Concat(n.e_code, n.noise, axis=0)
        make_digits(n, n.codes)
        judge_digits(n, n.generated, "")
        judge_digits(n, n.data, "_real")
        for name, value, count in (("d_one", 1, 1), ("d_zero", 0, 2), ("g_one", 1, 2)):
            own_to = OF_GENERATOR if name == "g_one" else ITS_OWN
            column = {"shape": {"dim": [count * BATCH, 1]}}
            n[name] = L.DummyData(data_filler=constant(value), **column, **own_to)
        n.d_real_loss = L.SigmoidCrossEntropyLoss(n.d_score_real, n.d_one, **ITS_OWN)
        n.d_fake_loss = L.SigmoidCrossEntropyLoss(n.d_score, n.d_zero, **ITS_OWN)
        divergence(n)
        n.g_loss = L.SigmoidCrossEntropyLoss(n.d_score, n.g_one, **OF_GENERATOR)
        both = {"include": [OF_ENCODER["include"], OF_GENERATOR["include"]]}
        n.of_rebuilt, n.of_made = L.Slice(n.d_leaky2, ntop=2, axis=0, **both)
        n.unused = L.Silence(n.of_made, n.d_score_real, ntop=0, **both)
        n.unused_score = L.Silence(n.d_score, ntop=0, **OF_ENCODER)
        n.likeness = L.EuclideanLoss(n.of_rebuilt, n.d_leaky2_real, loss_weight=LIKE_TRUE, **both)
        layers = [*of_both_phases(self.samples), *n.to_proto().layer[own:]]
        return NetParameter(name=self.name, layer=layers)


program = Autoencoder("VAE-GAN-digits", make, replace(digits(BATCH), rule={}), (64, NOISE))
