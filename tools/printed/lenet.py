"""LeNet.

`lenet-5` is the paper's, whose C3 sees some of the maps below it; the notes of 004 let it see all.
"""

from caffelite.net_spec import params as P

from ._line import fact, line, rows
from ._nets import chain, conv, count, dense, depth, facts, pool, size, zoo

NOTES = """
输入是灰度图 | data | 32 × 32 × 1
6 个 filters | 1 | 28 × 28 × 6
avg pooling | 2 | 14 × 14 × 6
16 个 5x5 | 3 | 10 × 10 × 16
avg pooling | 4 | 5 × 5 × 16
120 维的 fc | 5 | 120
84 维的 fc | 6 | 84
10 分类 | 7 | 10
"""


def lines():
    paper, notes = zoo("lenet-5"), of_the_notes()
    yield line("001", "LeNet-5", "5", depth(paper))
    for what, layer, printed in rows(NOTES):
        yield line("004", what, printed, size(notes, layer))
    yield from formulas(notes)
    seen = facts(notes, "5", other="inputs")
    yield line("004", "flatten", "5x5x16=400", size(notes, "4"), seen)
    yield line("004", "lenet-5 总共有", "大约 60k 的参数", count(notes))
    yield line("004", "lenet-5 只有", "60k 即 6w 的参数", 2 * [count(paper)])
    hidden = depth(zoo("lecun-1989")) - 1
    yield line("000", "LeCun1989", "3个隐层", hidden)


def formulas(net):
    """How 004 comes to the sizes of the convolutions: (side - kernel + 2 × pad) / stride + 1."""
    (side, _), (kernel, _), pad, step = facts(net, "1", "sides kernel pad stride")
    for printed, remark in (
        ("(32 - 5 + 2 × 0)/1 + 1", ""),
        ("(32 - 5 + 2 × 0)/2 + 1", "28 comes of stride 1, as in the factor before"),
    ):
        yield line("004", "6 个 filters", printed, side, kernel, 2, pad, step, 1, remark=remark)
    (side, _), (kernel, _), pad, step = facts(net, "3", "sides kernel pad stride")
    here = f"({side} - {kernel} + 2 × {pad})/{step} + 1 = {size(net, '3')[0]}"
    remark = "the deck leaves out + 2, which makes it 15"
    yield fact("004", "16 个 5x5", "(14 - 5 × 0)/1 + 1", here, False, remark=remark)


def of_the_notes():
    mean = {"pool": P.Pooling.AVE, "stride": 2}
    first, second = conv(6, 5, pad=0), conv(16, 5, pad=0)
    ends = dense(120), dense(84), dense(10)
    return chain((32, 32, 1), first, pool(2, **mean), second, pool(2, **mean), *ends)
