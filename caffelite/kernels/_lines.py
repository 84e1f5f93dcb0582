"""Lines of images in blocks, which threads share."""

import numpy as np

from ._jit import kernel

UNEVEN = 1.1
"""Times its even share of the work that a thread may have: what is saved is not much more."""


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


def cut(lines, most, batch, threads, panels, work):
    """(blocks of `most` lines at most, groups of panels) that are about even; None if none are.

    Few groups come first: each does anew what comes before the products with panels.
    """
    for groups in range(1, min(panels, threads) + 1):
        if threads % groups:
            continue
        for blocks in range(-(-lines // max(1, most)), lines + 1):
            whole = batch * blocks * groups % threads == 0 or blocks == lines
            if whole and unevenness(lines, blocks, batch, threads, groups, panels, work) <= UNEVEN:
                return blocks, groups
    return None


def unevenness(lines, blocks, batch, threads, groups, panels, work):
    """The most that a thread has to do, in even shares of the whole.

    `work` is that of a pixel before the products with all panels, and theirs.
    """
    before, after = work
    items = np.arange(batch * blocks * groups)
    item, group = items // groups, items % groups
    counts = line_of(item + 1, lines, blocks) - line_of(item, lines, blocks)
    share = ((group + 1) * panels // groups - group * panels // groups) / panels
    starts = np.arange(threads) * len(items) // threads
    is_new = (group == 0) | np.isin(items, starts)
    each = counts * (before * is_new + after * share)
    largest = max(part.sum() for part in np.split(each, starts[1:]))
    return largest * threads / (batch * lines * (before + after))
