"""Options that Caffe spells in several ways, read and checked the same way for every layer.

Each function takes the layer, reads `layer.options` and raises `layer.error` for what is refused.
"""

COMPRESSION = "it is an option of CmpConvolution and CmpInnerProduct alone"
OWN_LAYERS = "every process has layers of its own"


def axis_or_dim(layer, dim, num_axes):
    """`axis` (negative: from the end), or its old name `dim` ("concat_dim", "slice_dim")."""
    options = layer.options
    if not options.HasField(dim):
        return layer.canonical_axis(options.axis, num_axes)
    if options.HasField("axis"):
        raise layer.error(f"axis and {dim} are both given; keep axis, {dim} is its old name")
    index = getattr(options, dim)
    if index >= num_axes:
        raise layer.error(
            f"{dim}: {index} is out of range for a bottom with {num_axes} axes, "
            f"expected 0 to {num_axes - 1}"
        )
    return index


def per_axis(layer, name, num_axes, default=None, least=0):
    """One number per spatial axis, as a tuple.

    `name` is a repeated field with one entry for all axes or one for each; `default` (None: an
    entry is needed) stands for no entry. On two axes, NAME_h and NAME_w may be given instead
    ("kernel_h" for "kernel_size").
    """
    options = layer.options
    values = tuple(getattr(options, name))
    h, w = _height_and_width(name)
    given = [f for f in (h, w) if f in options.DESCRIPTOR.fields_by_name and options.HasField(f)]
    if given:
        if values:
            raise layer.error(f"{name} and {given[0]} are both given; keep one of them")
        if num_axes != 2:
            raise layer.error(
                f"{given[0]} is for 2 spatial axes, but the bottom has {num_axes} after its "
                f"channel axis; use {name}, once per axis"
            )
        values = (getattr(options, h), getattr(options, w))
    elif not values and default is not None:
        values = (default,)
    if len(values) == 1:
        values *= num_axes
    if len(values) != num_axes:
        choice = "1 entry" if num_axes < 2 else f"1 entry or {num_axes}"
        instead = (
            f" or {h} and {w}" if num_axes == 2 and h in options.DESCRIPTOR.fields_by_name else ""
        )
        raise layer.error(
            f"{name} has {len(values)} entries, expected {choice}{instead} "
            f"for {num_axes} spatial axes"
        )
    _check_least(layer, name, values, least)
    return values


def pair(layer, name, default=None, least=0):
    """(height, width) from the single field `name`, or from NAME_h and NAME_w together."""
    options = layer.options
    h, w = _height_and_width(name)
    given = [f for f in (h, w) if options.HasField(f)]
    if len(given) == 1:
        other = w if given[0] == h else h
        raise layer.error(f"{given[0]} is given without {other}; give both, or {name} alone")
    if given and options.HasField(name):
        raise layer.error(f"{name} and {h}, {w} are both given; keep one of them")
    if not given and not options.HasField(name) and default is None:
        raise layer.error(f"{name} is missing; give {name}, or {h} and {w}")
    if given:
        values = getattr(options, h), getattr(options, w)
    else:
        values = (getattr(options, name) if options.HasField(name) else default,) * 2
    _check_least(layer, name, values, least)
    return values


def _height_and_width(name):
    stem = name.removesuffix("_size")
    return f"{stem}_h", f"{stem}_w"


def _check_least(layer, name, values, least):
    if min(values, default=least) < least:
        shown = " x ".join(map(str, values))
        raise layer.error(f"{name}: {shown} is too small, expected at least {least} on each axis")
