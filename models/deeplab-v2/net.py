"""DeepLab v2: VGG-16 dilated instead of pooled, and four fields of view side by side.

Chen, Papandreou, Kokkinos, Murphy, Yuille 2016.
"""

from caffelite.models.program import Program
from caffelite.models.segmentation import deeplab_loss, dense_dilated, dilated_vgg, voc_of_size
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P

SPREADS = 6, 12, 18, 24


def net(n):
    top = dilated_vgg(n)
    scores = [dense_dilated(n, f"_{i}", top, spread) for i, spread in enumerate(SPREADS, 1)]
    n.fc8_voc12 = L.Eltwise(*scores, operation=P.Eltwise.SUM)
    deeplab_loss(n, n.fc8_voc12)


program = Program("DeepLab-v2", net, voc_of_size(321), (1, 3, 513, 513))
