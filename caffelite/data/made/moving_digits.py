"""clips of a digit that moves, turns, grows or shrinks

A clip is 10 frames of 32 x 32 gray pixels, with a digit of mnist-5k that does one of eight things,
which is the label:

  0, 1  moves down, moves up           2, 3  moves right, moves left
  4, 5  turns clockwise, counterclockwise    6, 7  grows, shrinks

How far it goes, where it is, how large and how turned, is drawn evenly. A clip that is run backward
is one of the other label of its line: which of the two it is, single frames do not tell.

4,000 clips are for training, or --count, and a fifth of that, with other digits, for testing. A
record of OUT/moving_PART_lmdb is a clip, whose channels are its frames; --hdf5 and --frames store
clips in other ways. OUT/moving_labels.txt names the labels. All are the same ones always; --which
gives others, and the first ones do not depend on --count. They need the extra [demo].
"""

from . import Option

OPTIONS = {
    "count": Option("samples for training", int, least=10, most=100_000),
    "which": Option("other pictures of the same kind", int, default=0, most=10**9),
}
WHAT = "clips"
CLIPS = True


def parts(count=None, which=0):
    """{"train": source, "test": source}; a sample is (frames, label)."""
    from ._moving import moving

    return moving(count or 4000, which)


def files(parts):
    """{name: chunks of bytes} of what stands beside the clips."""
    from ._moving import MOTIONS

    return {"labels.txt": ["".join(f"{motion}\n" for motion in MOTIONS).encode()]}
