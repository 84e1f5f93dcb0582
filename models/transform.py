"""What nets share that turn one picture into another, and are trained by how VGG-16 sees it.

Johnson, Alahi, Fei-Fei 2016, arXiv:1603.08155.
"""

from dataclasses import dataclass

from caffelite.models.blocks import MSRA, VGG_16, gaussian, max_pool, relu
from caffelite.models.program import VGG_MEAN, Program, Samples, of_both_phases, without_training
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TRAIN, NetParameter

SMALL = gaussian(0.02)
SIDE = 128  # of the squares that are cut out of photographs, in pixels


def photographs(batch_size):
    """Squares out of photographs: blue, green, red, 0 to 255 minus the mean of ImageNet's."""
    return Samples(
        "data/photographs_train_lmdb",
        "data/photographs_test_lmdb",
        (batch_size, 1),
        {"mirror": True, "crop_size": SIDE, "mean_value": VGG_MEAN},
        "photographs",
        ("data",),
    )


@dataclass
class Transform(Program):
    """A net that makes n.made of n.data.

    In training, `compare(n)` writes what it is trained by: what VGG-16 sees of n.made.
    """

    compare: object = None

    def train_val(self):
        n = NetSpec()
        n.tops.update(self.samples.layer(TRAIN))
        own = len(n.to_proto().layer)
        self.net(n)
        self.compare(n)
        layers = [*of_both_phases(self.samples), *n.to_proto().layer[own:]]
        return NetParameter(name=self.name, layer=layers)

    def deploy(self):
        n = NetSpec()
        n.data = L.Input(shape={"dim": self.shape})
        self.net(n)
        return NetParameter(name=self.name, layer=map(without_training, n.to_proto().layer))


# Parts of the nets


def conv(bottom, num_output, kernel_size, **options):
    return L.Convolution(
        bottom, num_output=num_output, kernel_size=kernel_size, weight_filler=SMALL, **options
    )


def normalized(n, name, top, kind, activate=True):
    """`top`, then BatchNorm or InstanceNorm, a Scale, and a ReLU."""
    n[name] = top
    momentum = {"moving_average_fraction": 0.95} if kind == "BatchNorm" else {}
    n[f"{name}_norm"] = getattr(L, kind)(top, in_place=True, **momentum)
    n[f"{name}_scale"] = top = L.Scale(n[f"{name}_norm"], in_place=True, bias_term=True)
    if activate:
        n[f"{name}_relu"] = top = relu(top)
    return top


def residual(n, name, bottom, width, kind):
    """x + f(x), without an activation behind the sum."""
    window = {"pad": 1, "bias_term": False}
    top = normalized(n, f"{name}_a", conv(bottom, width, 3, **window), kind)
    top = normalized(n, f"{name}_b", conv(top, width, 3, **window), kind, activate=False)
    n[name] = L.Eltwise(bottom, top)
    return n[name]


def enlarged(n, name, bottom, width, kind):
    """A convolution of stride 1/2: twice as high and wide."""
    window = {"kernel_size": 4, "stride": 2, "pad": 1, "bias_term": False, "weight_filler": SMALL}
    top = L.Deconvolution(bottom, convolution_param={"num_output": width, **window})
    return normalized(n, name, top, kind)


def wide(n, name, bottom, num_output, **options):
    """A 9 x 9 convolution of the picture, mirrored at its borders."""
    n[f"{name}_pad"] = L.ReflectionPad(bottom, pad=4)
    return conv(n[f"{name}_pad"], num_output, 9, **options)


def picture(n, bottom):
    """n.made: what the last convolution gives, between -150 and 150, about 0 as n.data is.

    It sums up 2,592 values, whose weights Adam moves alike: at the rate of others, all that it
    gives would be -150 or 150 after ten iterations.
    """
    n.last = wide(n, "last", bottom, 3, param=[{"lr_mult": 0.1}, {"lr_mult": 0.1}])
    n.bounded = L.TanH(n.last)
    n.made = L.Power(n.bounded, scale=150)


# What they are trained by


def seen(n, picture, layers, end=""):
    """{name: top} of these convolutions of VGG-16, which stay as they are, of a picture.

    Of several pictures, the convolutions have the same weights and names that differ in `end`.
    """
    found, top = {}, picture
    for stage, widths in enumerate(VGG_16, 1):
        if stage > 1:
            top = n[f"pool{stage - 1}{end}"] = max_pool(top, 2, 2)
        for k, width in enumerate(widths, 1):
            name = f"conv{stage}_{k}"
            held = [{"name": f"{name}_{part}", "lr_mult": 0, "decay_mult": 0} for part in "wb"]
            n[name + end] = L.Convolution(
                top, num_output=width, kernel_size=3, pad=1, weight_filler=MSRA, param=held
            )
            top = n[f"relu{stage}_{k}{end}"] = relu(n[name + end])
            if name in layers:
                found[name] = top
            if len(found) == len(layers):
                return found


def feature_loss(n, layer, made, data, weight=1):
    """The squared distance of maps, the mean over all their values, times a weight."""
    stage = int(layer[4])
    c, side = VGG_16[stage - 1][0], SIDE // 2 ** (stage - 1)
    n.feature_loss = L.EuclideanLoss(
        made[layer], data[layer], loss_weight=2 * weight / (c * side**2)
    )
