"""VGG for small pictures: five stages, three dense layers, a few maps in each."""

from caffelite.models import blocks

WIDTHS = 8, 16, 32, 64, 64


def vgg(n, stages, fill, names=None):
    """`stages` are the sizes of the windows of each stage; all but `names` are called new."""
    top = n.data
    for stage, (width, sizes) in enumerate(zip(WIDTHS, stages, strict=True), 1):
        for i, size in enumerate(sizes, 1):
            name = called(f"conv{stage}_{i}", names)
            n[name] = blocks.conv(top, width, size, fill, pad=size // 2)
            top = n[f"relu{stage}_{i}"] = blocks.relu(n[name])
        top = n[f"pool{stage}"] = blocks.max_pool(top, 2, 2)
    for i in (6, 7):
        n[f"fc{i}"] = blocks.dense(top, 64, fill)
        top = n[f"relu{i}"] = blocks.relu(n[f"fc{i}"])
    n.fc8 = blocks.dense(top, 10, fill)
    blocks.classify(n, n.fc8)


def called(name, names):
    return name if names is None or name in names else f"{name}_new"
