"""What generators and their discriminators share: the data, two players, and what each descends.

One file has the nets of both players of a solver. The generator and the discriminator on what it
makes are in both; the discriminator on real pictures, with the same weights by name, and its losses
are in the stage "discriminator", the generator's loss is in the stage "generator".
"""

from dataclasses import dataclass

from caffelite.models.blocks import constant, gaussian, relu
from caffelite.models.program import Program, Samples, of_both_phases, without_training
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TRAIN, NetParameter

NOISE = 64  # numbers that a picture is made of
SMALL = gaussian(0.02)
ITS_OWN = {"include": {"stage": "discriminator"}}
OF_GENERATOR = {"include": {"stage": "generator"}}


def digits(batch_size, labels=False):
    """Digits of 28 x 28 pixels between -1 and 1; without labels, one player alone sees them."""
    return Samples(
        "data/mnist_train_lmdb",
        "data/mnist_test_lmdb",
        (batch_size, batch_size),
        {"mean_value": 127.5, "scale": 1 / 127.5},
        "digits",
        ("data", "label") if labels else ("data",),
        {} if labels else {"stage": "discriminator"},
    )


@dataclass
class Game(Program):
    """A generator against a discriminator.

    `net(n)` makes n.generated of n.noise, and of n.label where there are labels; `judge(n, picture,
    end, **options)` returns the scores of pictures, 1 a picture, `end` being that of all names but
    those of weights; `losses(n, real, fake)` writes what both descend. Labels are those of the
    data, if these have some, or drawn from `drawn_classes`, each as likely.
    """

    judge: object = None
    losses: object = None
    drawn_classes: int = 0

    def train_val(self):
        batch = self.samples.batch_sizes[0]
        n = NetSpec()
        n.tops.update(self.samples.layer(TRAIN))
        own = len(n.to_proto().layer)
        n.noise = L.DummyData(shape={"dim": [batch, *self.shape[1:]]}, data_filler=gaussian(1))
        if self.drawn_classes:
            shape = {"dim": [batch, self.drawn_classes]}
            n.chances = L.DummyData(shape=shape, data_filler=gaussian(1))
            n.largest = L.ArgMax(n.chances, axis=1)
            n.label = L.Reshape(n.largest, shape={"dim": -1})
        self.net(n)
        fake = self.judge(n, n.generated, "")
        real = self.judge(n, n.data, "_real", **ITS_OWN)
        self.losses(n, real, fake)
        if "label" in self.samples.tops:
            n.silence = L.Silence(n.data, ntop=0, **OF_GENERATOR)
        layers = [*of_both_phases(self.samples), *n.to_proto().layer[own:]]
        return NetParameter(name=self.name, layer=layers)

    def deploy(self):
        n = NetSpec()
        n.noise = L.Input(shape={"dim": self.shape})
        if "label" in self.samples.tops or self.drawn_classes:
            n.label = L.Input(shape={"dim": self.shape[:1]})
        self.net(n)
        return NetParameter(name=self.name, layer=map(without_training, n.to_proto().layer))


# Layers, with the options that these nets give


def shared(name, count=2, **options):
    """`param` of a layer whose weights others have, too."""
    return {"param": [{"name": f"{name}_{k}", **options} for k in range(count)]}


def dense(bottom, num_output, fill=SMALL, **options):
    return L.InnerProduct(bottom, num_output=num_output, weight_filler=fill, **options)


def conv(bottom, num_output, kernel_size, **options):
    return L.Convolution(
        bottom,
        num_output=num_output,
        kernel_size=kernel_size,
        weight_filler=SMALL,
        **options,
    )


def enlarge(bottom, num_output, **options):
    """A fractionally strided convolution: twice as high and wide, with 3 x 3 windows one less."""
    window = {"kernel_size": 4, "stride": 2, "pad": 1, "weight_filler": SMALL}
    return L.Deconvolution(
        bottom, convolution_param={"num_output": num_output, **window, **options}
    )


def leaky(bottom, **options):
    return L.ReLU(bottom, in_place=True, negative_slope=0.2, **options)


def normalize(n, name, bottom, end="", **options):
    """Batch normalization, with a scale and shift; layers of one name share their values."""
    names = {} if name.startswith("g_") else shared(f"{name}_bn", 3, lr_mult=0, decay_mult=0)
    n[f"{name}_bn{end}"] = top = L.BatchNorm(
        bottom, in_place=True, moving_average_fraction=0.9, **names, **options
    )
    names = {} if name.startswith("g_") else shared(f"{name}_scale")
    n[f"{name}_scale{end}"] = L.Scale(
        top, in_place=True, bias_term=True, filler=gaussian(0.02, mean=1), **names, **options
    )
    return n[f"{name}_scale{end}"]


# Digits by convolutions, as Radford, Metz, Chintala 2015, arXiv:1511.06434, have them for larger
# pictures: strides for pooling, batch normalization but at the generator's end and the
# discriminator's start, ReLU in one, LeakyReLU in the other


def make_digits(n, code=None, widths=(128, 64)):
    """n.generated of a code [n.noise]: small maps, then a stage for each of `widths`, in maps."""
    code = code or n.noise
    if "label" in n.tops:
        n.g_class = L.Embed(
            n.label, input_dim=10, num_output=NOISE, bias_term=False, weight_filler=gaussian(1)
        )
        # a product: noise beside the class would soon count for nothing
        n.g_code = code = L.Eltwise(n.noise, n.g_class, operation=P.Eltwise.PROD)
    sides = [-(-28 // 2**k) for k in range(len(widths), -1, -1)]
    n.g_dense = dense(code, widths[0] * sides[0] ** 2, bias_term=False)
    n.g_maps = L.Reshape(n.g_dense, shape={"dim": [0, widths[0], sides[0], sides[0]]})
    n.g_relu = top = relu(normalize(n, "g_dense", n.g_maps))
    for k, (width, side) in enumerate(zip(widths[1:], sides[1:], strict=False), 1):
        n[f"g_up{k}"] = top = enlarge(top, width, kernel_size=4 - side % 2, bias_term=False)
        n[f"g_relu{k}"] = top = relu(normalize(n, f"g_up{k}", top))
    n[f"g_up{len(widths)}"] = top = enlarge(top, 1)
    n.generated = L.TanH(top)


def judge_digits(n, picture, end, widths=(64, 128), size=5, **options):
    """A score for each picture: a weighted sum of its features, those of the last d_leaky."""
    window, top = {"kernel_size": size, "stride": 2, "pad": (size - 1) // 2}, picture
    for k, width in enumerate(widths, 1):
        name = f"d_conv{k}"
        if k == 1:
            n[name + end] = top = conv(top, width, **window, **shared(name), **options)
        else:
            own = {"bias_term": False, **shared(name, 1), **options}
            n[name + end] = top = conv(top, width, **window, **own)
            top = normalize(n, name, top, end, **options)
        n[f"d_leaky{k}{end}"] = top = leaky(top, **options)
    n[f"d_score{end}"] = dense(top, 1, **shared("d_score"), **options)
    return n[f"d_score{end}"]


def judge_labelled(n, picture, end, **options):
    """As judge_digits, with weights that are partly those of the label: a projection.

    Miyato, Koyama 2018, arXiv:1802.05637.
    """
    judge_digits(n, picture, end, **options)
    n[f"d_class{end}"] = L.Embed(
        n.label, input_dim=10, num_output=128 * 7 * 7, bias_term=False, weight_filler=SMALL,
        **shared("d_class", 1), **options,
    )  # fmt: skip
    n[f"d_flat{end}"] = L.Flatten(n[f"d_leaky2{end}"], **options)
    n[f"d_product{end}"] = L.Eltwise(
        n[f"d_flat{end}"], n[f"d_class{end}"], operation=P.Eltwise.PROD, **options
    )
    n[f"d_sum{end}"] = L.Reduction(n[f"d_product{end}"], axis=1, **options)
    n[f"d_fit{end}"] = L.Reshape(n[f"d_sum{end}"], shape={"dim": [0, 1]}, **options)
    n[f"d_both{end}"] = L.Eltwise(n[f"d_score{end}"], n[f"d_fit{end}"], **options)
    return n[f"d_both{end}"]


# What both players descend


def cross_entropy(n, real, fake, sure=1):
    """The discriminator tells 1 from 0; the generator wants 1 (the loss that does not saturate).

    With `sure` below 1, the discriminator is to be no surer than that of real pictures.
    """
    against(n, L.SigmoidCrossEntropyLoss, real, fake, sure)
    right(n, real, fake, 0)


def squares(n, real, fake):
    """As cross_entropy, with half the squared distances of scores from 1 and 0: least squares.

    Mao et al. 2017, arXiv:1611.04076.
    """
    against(n, L.EuclideanLoss, real, fake)
    right(n, real, fake, 0.5)


def wasserstein(n, real, fake):
    """The critic's mean score of real pictures is to be above that of made ones, these below.

    Its weights are clipped by the solver. Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875.
    """
    mean = {"operation": P.Reduction.MEAN}
    n.d_real_loss = L.Reduction(real, loss_weight=-1, **mean, **ITS_OWN)
    n.d_fake_loss = L.Reduction(fake, loss_weight=1, **mean, **ITS_OWN)
    n.g_loss = L.Reduction(fake, loss_weight=-1, **mean, **OF_GENERATOR)


def against(n, loss, real, fake, sure=1):
    """The three losses, each to a column of one number."""
    column = {"shape": {"dim": [n.tops["noise"].fn.params["shape"]["dim"][0], 1]}}
    n.d_one = L.DummyData(data_filler=constant(sure), **column, **ITS_OWN)
    n.d_zero = L.DummyData(**column, **ITS_OWN)
    n.g_one = L.DummyData(data_filler=constant(1), **column, **OF_GENERATOR)
    n.d_real_loss = loss(real, n.d_one, **ITS_OWN)
    n.d_fake_loss = loss(fake, n.d_zero, **ITS_OWN)
    n.g_loss = loss(fake, n.g_one, **OF_GENERATOR)


def right(n, real, fake, threshold):
    """Shares of pictures that the discriminator is right about, by what scores are above."""
    mean = {"operation": P.Reduction.MEAN}
    n.d_real_over = L.Threshold(real, threshold=threshold, **ITS_OWN)
    n.d_real_accuracy = L.Reduction(n.d_real_over, **mean, **ITS_OWN)
    n.d_fake_over = L.Threshold(fake, threshold=threshold, **ITS_OWN)
    n.d_fooled = L.Reduction(n.d_fake_over, **mean, **ITS_OWN)
    n.d_fake_accuracy = L.Power(n.d_fooled, scale=-1, shift=1, **ITS_OWN)
    n.g_over = L.Threshold(fake, threshold=threshold, **OF_GENERATOR)
    n.g_fooled = L.Reduction(n.g_over, **mean, **OF_GENERATOR)
