"""DeepLab-LargeFOV: VGG-16 dilated instead of pooled, with windows of 3 x 3 over 25 x 25 places.

Chen, Papandreou, Kokkinos, Murphy, Yuille 2015.
"""

from caffelite.models.blocks import XAVIER, conv, dropout, gaussian, relu
from caffelite.models.program import Program
from caffelite.models.segmentation import VOC, deeplab_loss, dilated_vgg, voc_of_size


def net(n):
    top = dilated_vgg(n)
    for name, size, options in (("6", 3, {"pad": 12, "dilation": 12}), ("7", 1, {})):
        n[f"fc{name}"] = conv(top, 1024, size, XAVIER, **options)
        n[f"relu{name}"] = relu(n[f"fc{name}"])
        top = n[f"drop{name}"] = dropout(n[f"relu{name}"], 0.5)
    rates = [{"lr_mult": 10}, {"lr_mult": 20, "decay_mult": 0}]
    n.fc8_voc12 = conv(top, VOC, 1, gaussian(0.01), param=rates)
    deeplab_loss(n, n.fc8_voc12)


program = Program("DeepLab-LargeFOV", net, voc_of_size(321), (1, 3, 513, 513))
