"""FCN-32s for digits in scenes: scores of a map of 4 x 4, enlarged 32 times at once."""

from caffelite.models.scene_pixels import fcn, scenes_program


def net(n):
    fcn(n, stride=32)


program = scenes_program("FCN-32s-digits", net, "outlines")
