"""A convolution with what follows it: normalization by fixed statistics, a scale, an activation.

All of it where no backward follows, the activation alone in training. What is to become of the sums
of products is done to them before they are stored.
"""

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
