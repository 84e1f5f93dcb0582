"""DeepLab-LargeFOV: VGG-16 dilated instead of pooled, with windows of 3 x 3 over 25 x 25 places.

Chen, Papandreou, Kokkinos, Murphy, Yuille 2015.
"""

from caffelite.models.blocks import average_pool
from caffelite.models.program import Program
from caffelite.models.segmentation import deeplab_loss, dense_dilated, dilated_vgg, voc_of_size


def net(n):
    n.pool5a = average_pool(dilated_vgg(n), 3, 1, pad=1)
    deeplab_loss(n, dense_dilated(n, "", n.pool5a, 12))


program = Program("DeepLab-LargeFOV", net, voc_of_size(321), (1, 3, 513, 513))
