"""The first GAN, for digits: dense layers against dense layers.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio 2014; ReLU instead of
maxout, sizes are this program's own.

lint: ignore unused-top (what share of pictures the discriminator is right about)
"""

from caffelite.models.adversarial import NOISE, Game, cross_entropy, dense, digits, leaky, shared
from caffelite.models.blocks import XAVIER, relu
from caffelite.net_spec import layers as L


def make(n):
    top = n.noise
    for number, width in enumerate((256, 512), 1):
        n[f"g_ip{number}"] = dense(top, width, XAVIER)
        n[f"g_relu{number}"] = top = relu(n[f"g_ip{number}"])
    n.g_pixels = dense(top, 28 * 28, XAVIER)
    n.g_tanh = L.TanH(n.g_pixels, in_place=True)
    n.generated = L.Reshape(n.g_tanh, shape={"dim": [0, 1, 28, 28]})


def judge(n, picture, end, **options):
    top = picture
    for number, width in enumerate((512, 256), 1):
        name = f"d_ip{number}"
        n[f"{name}{end}"] = top = dense(top, width, XAVIER, **shared(name), **options)
        n[f"d_leaky{number}{end}"] = top = leaky(top, **options)
        n[f"d_drop{number}{end}"] = top = L.Dropout(
            top, in_place=True, dropout_ratio=0.3, **options
        )
    n[f"d_score{end}"] = dense(top, 1, XAVIER, **shared("d_score"), **options)
    return n[f"d_score{end}"]


program = Game("GAN-MLP-digits", make, digits(64), (64, NOISE), judge=judge, losses=cross_entropy)
