"""Rules on shapes, as far as they follow from the text: Data, for one, tells them by its crop."""

from . import rule


@rule()
def shape(net):
    """Sizes and options that do not fit together."""
    for i, built in enumerate(net.built):
        if built.problem:
            yield i, built.problem


@rule(advice=True)
def pixels_left_over(net):
    """A Convolution whose last window ends before the last pixels: (in - kernel) / stride."""
    for i, built in _known(net, "bottom"):
        layer = built.layer
        for size, kernel, stride, pad, dilation in zip(
            built.bottoms[0][layer.axis + 1 :],
            layer.kernel,
            layer.stride,
            layer.pad,
            layer.dilation,
            strict=True,
        ):
            reach = dilation * (kernel - 1) + 1
            left = (size + 2 * pad - reach) % stride - pad
            if left > 0 and stride <= kernel:
                yield (
                    i,
                    f"windows of {reach} at stride {stride} do not fill {size} + 2 * {pad}: "
                    f"the last {left} of {size} are never seen",
                    "convolution_param",
                    "stride",
                )
                break


@rule(advice=True)
def uneven_overlap(net):
    """A Deconvolution whose stride does not divide its kernel: outputs get unequally many terms.

    Weights that stay bilinear make up for that, as those of FCN-AlexNet's kernel of 63 do.
    """
    for i, built in _known(net, "top"):
        layer = net.layers[i]
        if layer.param and layer.param[0].lr_mult == 0:
            continue
        pairs = zip(built.layer.kernel, built.layer.stride, strict=True)
        for kernel, stride in pairs:
            if kernel % stride:
                words = f"stride {stride} does not divide the kernel, {kernel}: windows overlap"
                yield i, f"{words} unevenly, in the pattern of a checkerboard", "convolution_param"
                break


def _known(net, windows):
    """The layers with such `windows` whose shapes are known."""
    for i, built in enumerate(net.built):
        if net.facts[i].windows == windows and built.tops and not built.guessed:
            yield i, built


@rule()
def shared_shape(net):
    """Blobs that share values by name, but differ in shape."""
    owners = {}
    for i, built in enumerate(net.built):
        blobs = built.layer.blobs if built.layer is not None and not built.guessed else []
        for k, (spec, blob) in enumerate(zip(net.layers[i].param, blobs, strict=False)):
            if not spec.name:
                continue
            owner, theirs = owners.setdefault(spec.name, (net.layers[i], blob))
            permissive = spec.share_mode == spec.PERMISSIVE
            if theirs.count != blob.count if permissive else theirs.shape != blob.shape:
                words = f'shares "{spec.name}" with layer "{owner.name}", where its shape is'
                yield i, f"{words} {theirs.shape}, not {blob.shape}", "param", k, "name"
