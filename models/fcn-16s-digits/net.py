"""FCN-16s for digits in scenes: scores of maps of 4 x 4 and 8 x 8, enlarged 16 times."""

from caffelite.models.scene_pixels import fcn, scenes_program


def net(n):
    fcn(n, stride=16)


program = scenes_program("FCN-16s-digits", net, "outlines")
