"""Lines of images in blocks, which threads share."""

from ._jit import kernel


def blocks_of(lines, most, batch, threads):
    """In how many blocks of `most` lines at most to cut an image, for threads to have as many."""
    blocks = -(-lines // max(1, most))
    while blocks < lines and batch * blocks % threads:
        blocks += 1
    return blocks


def line_of(item, lines, blocks):
    """The line, counted through all images, at which a block begins."""
    return item // blocks * lines + item % blocks * lines // blocks


first_line_of = kernel(line_of)
