"""A convolution with what follows it: normalization by fixed statistics, a scale, an activation.

All of it where no backward follows, the activation alone in training. What is to become of the sums
of products is done to them before they are stored.
"""

from ...kernels.separable import LANED_Y
from ._parts import EpilogueStep, Parts


def match(nodes, first):
    """The step of a convolution and of those after it that fit into its epilogue, or None."""
    if nodes[0].layer.takes_epilogue != "map":
        return None
    found = step(nodes, first)
    return found if found.parts.are_many else None


def step(nodes, first):
    """The step of a convolution and of those after it, if any, that fit into its epilogue."""
    parts = Parts(nodes)
    if not parts.head.needs_backward:
        take_map(parts)
    parts.take_activation(by_channel=True)
    return ConvolutionStep(parts, first)


def take_map(parts):
    """Take what is a linear map of a convolution's channels."""
    parts.take_fixed_normalizer()
    if parts.normalizer is None or parts.normalizer.layer.scale is None:
        parts.take_affine()


class ConvolutionStep(EpilogueStep):
    """y = activation((sum of products + bias - center) * slope + offset), by channel."""

    def may_be(self, laned):
        """Whether it should run where so much is `laned`."""
        node = self.nodes[0]
        shapes = node.bottom_blobs[0].shape, node.top_blobs[0].shape
        return laned == LANED_Y and node.layer.may_give_laned(*shapes)

    def run(self, laned):
        """Forward; what is `laned` gets its values so."""
        node = self.nodes[0]
        if laned:
            (bottom,), (top,) = node.bottom_blobs, node.top_blobs
            node.layer.forward_laned(bottom, top, self.kept_epilogue())
        else:
            self.forward()

    def epilogue(self):
        """The map of the nodes after the convolution, of sums that still lack its bias."""
        parts, activation = self.parts, self.parts.activation_options()
        if parts.normalizer:
            owner = (parts.affine or parts.normalizer).layer
            epilogue = parts.normalizer.layer.fixed_epilogue(owner, **activation)
        elif parts.affine:
            epilogue = parts.affine.layer.epilogue(**activation)
        else:
            return super().epilogue()
        bias = self.nodes[0].layer.bias
        if bias is None:
            return epilogue
        return epilogue._replace(center=epilogue.center - bias.data)
