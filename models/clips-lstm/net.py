"""LRCN's net for activities in small: a CNN looks at each frame, an LSTM goes over the frames."""

from caffelite.models.blocks import dropout, uniform
from caffelite.models.clips import Clips, OfClips, frame_by_frame, tell
from caffelite.net_spec import layers as L

UNITS = 64


def net(n):
    frames = frame_by_frame(n)
    n["reshape-cm"] = L.Permute(n.cont, order=[1, 0])
    options = {"num_output": UNITS, "weight_filler": uniform(UNITS**-0.5), "forget_bias": 1}
    n.lstm1 = L.LSTM(frames, n["reshape-cm"], recurrent_param=options)
    n["lstm1-drop"] = dropout(n.lstm1, 0.5)
    tell(n, n["lstm1-drop"])


program = OfClips("clips-lstm", net, Clips())
