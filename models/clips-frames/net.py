"""What single frames tell of a clip: the CNN of clips-lstm, and the mean of what they say."""

from caffelite.models.clips import Clips, OfClips, frame_by_frame, tell
from caffelite.net_spec import layers as L


def net(n):
    n.unused = L.Silence(n.cont, ntop=0)
    tell(n, frame_by_frame(n))


program = OfClips("clips-frames", net, Clips())
