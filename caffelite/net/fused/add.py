"""A sum of two blobs with the activation after it, as at the end of each unit of a ResNet."""

from ._parts import EpilogueStep, Parts


def match(nodes, first):
    """The step of a sum and an activation that is the same for all values, or None."""
    parts = Parts(nodes)
    if nodes[0].layer.takes_epilogue != "activation":
        return None
    parts.take_activation(by_channel=False)
    return EpilogueStep(parts, first) if parts.are_many else None
