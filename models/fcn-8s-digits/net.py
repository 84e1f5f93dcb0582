"""FCN-8s for digits in scenes: scores of maps of 4 x 4, 8 x 8 and 16 x 16, enlarged 8 times."""

from caffelite.models.scene_pixels import fcn, scenes_program


def net(n):
    fcn(n, stride=8)


program = scenes_program("FCN-8s-digits", net, "outlines")
