"""Slow, obvious twins of caffelite/kernels/windows.py."""

import math


def draw(draws, limits, trials, most, boxes, windows):
    """Trial by trial: a window, and whether it counts."""
    found = 0
    for own_draws, own, count, wanted in zip(draws, limits, trials, most, strict=True):
        kept = []
        for scale, aspect, x, y in own_draws[:count]:
            scale = own[0] + scale * (own[1] - own[0])
            aspect = own[2] + aspect * (own[3] - own[2])
            aspect = sorted([scale**2, aspect, scale**-2])[1]
            width, height = scale * math.sqrt(aspect), scale / math.sqrt(aspect)
            left, top = x * (1 - width), y * (1 - height)
            window = left, top, left + width, top + height
            if len(kept) < wanted and meets(window, boxes, own):
                kept.append(window)
        windows[found : found + len(kept)] = kept or windows[:0]
        found += len(kept)
    return found


def area(box):
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def meets(window, boxes, limits):
    """Whether a box has shares within all limits that there are."""
    pairs = [limits[k : k + 2] for k in (4, 6, 8)]
    if all(math.isnan(limit) for pair in pairs for limit in pair):
        return True
    for box in boxes:
        low, high = map(max, window[:2], box[:2]), map(min, window[2:], box[2:])
        shared = area([*low, *high])
        union = area(window) + area(box) - shared
        shares = shared / union, shared / area(window), shared / area(box)
        if all(
            (math.isnan(least) or share >= least) and (math.isnan(most) or share <= most)
            for share, (least, most) in zip(shares, pairs, strict=True)
        ):
            return True
    return False
