def share(layer, bottom, top):
    """Let the top use the memory of the bottom, which has as many values, data and diff.

    With `propagate_down: false` the diff stays apart: whoever else reads the bottom's diff must
    not find the top's there.
    """
    top.share_data(bottom)
    if all(layer.param.propagate_down):
        top.share_diff(bottom)
