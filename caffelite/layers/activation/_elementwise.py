"""What activations share, and other functions of one number."""

from ..base import Layer


class Elementwise(Layer):
    """Base of layers that make each value of the top from that at its place in the bottom."""

    pointwise = True
    drawn_as = "activation"
