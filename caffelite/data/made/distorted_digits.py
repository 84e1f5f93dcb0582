"""digits of mnist-5k turned, moved, bent, or anywhere among clutter

--kind says what happens to a digit. All but the last are those of the paper on spatial
transformers (Jaderberg et al. 2015), with numbers drawn evenly if nothing else is said:

  cluttered   60 x 60: it lies anywhere, and so do 16 pieces of other digits, 6 x 6 each
  rotated     28 x 28: turned by up to 90 degrees to either side
  rts         42 x 42: turned by up to 45 degrees, 0.7 to 1.2 times as large, anywhere
  projected   42 x 42: 0.75 to 1 times as large, in the middle, and its four corners are moved, each
              by normal numbers with a deviation of 5 pixels
  elastic     28 x 28: bent smoothly by 4 x 4 points, which are moved by normal numbers with a
              deviation of 4 pixels (the paper's: thin plate splines)

20,000 are for training, or --count, and a tenth of that for testing, made of digits that are not
for training; each digit comes in turn, drawn anew. All are the same ones always; --which gives
others, and the first ones do not depend on --count. Several kinds need folders of their own:
--kind rotated --out data/rotated. They need the extra [demo].
"""

from . import Option

OPTIONS = {
    "kind": Option("cluttered, rotated, rts, projected or elastic", metavar="KIND"),
    "count": Option("samples for training", int, least=10, most=100_000),
    "which": Option("other pictures of the same kind", int, default=0, most=10**9),
}
WHAT = "digits"


def parts(kind=None, count=None, which=0):
    """{"train": source, "test": source}; a sample is (pixels, label)."""
    from ._distorted import distorted

    return distorted(kind or "cluttered", count or 20_000, which)
