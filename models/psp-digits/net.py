"""PSPNet for digits in scenes: means of regions of four sizes beside what each place sees."""

from caffelite.models.blocks import average_pool, concat, conv, dropout, gaussian
from caffelite.models.scene_pixels import CLASSES, SIDE, scenes_program, tell
from caffelite.models.scenes import one_map, unit
from caffelite.net_spec import layers as L

MAP = SIDE // 8
REGIONS = (1, 2, 4, 8)  # a side; the paper's 3 and 6 do not divide this map


def net(n):
    pyramid = [one_map(n)]
    for regions in REGIONS:
        name = f"3_4_pool{regions}"
        n[name] = average_pool(pyramid[0], MAP // regions, MAP // regions)
        n[f"{name}_interp"] = resized(unit(n, name, n[name], 24, 1), MAP)
        pyramid.append(n[f"{name}_interp"])
    top = unit(n, "5_4", concat(n, "3_4_concat", *pyramid), 96)
    n.dropout5_4 = dropout(top, 0.1)
    n.conv6 = conv(n.dropout5_4, CLASSES, 1, gaussian(0.01))
    n.conv6_interp = resized(n.conv6, SIDE)
    tell(n, n.conv6_interp)


def resized(bottom, side):
    return L.Interp(bottom, height=side, width=side)


program = scenes_program("PSP-digits", net, "outlines")
