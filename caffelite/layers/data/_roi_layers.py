"""The data layer of Fast R-CNN, py-faster-rcnn and R-FCN, in place of its module."""

from ...data.roidb import RoidbSource
from ...data.true_boxes import TrueBoxesSource
from ...errors import CaffeliteError
from ...reading import yaml_mapping
from ..base import TRAIN
from ..detection._rcnn_settings import rcnn_settings
from ..options import OWN_LAYERS
from .roi_data import RoIData

NO_DATA = (
    "has no pictures: name a database of pictures with boxes, as caffelite dataset makes them, by "
    "--set TRAIN.SOURCE=DATABASE, in Python caffelite.rcnn_settings, or call set_roidb"
)


class RoIDataLayer(RoIData):
    """As RoIData, by the settings: SOURCE, SCALES, MAX_SIZE and USE_FLIPPED of TRAIN; PIXEL_MEANS.

    Pictures come in another order in each pass. Where the settings flip pictures, every other one
    is mirrored, at random; theirs come once as they are and once mirrored. A net can be built
    without data; a script may give them by `set_roidb`.
    """

    type = "Python"
    ignored = {"python_param.share_in_parallel": OWN_LAYERS}
    files = ()
    tops: int | tuple[int, int] = 3
    options_field = "python_param"
    roidb = None
    no_data = NO_DATA

    @classmethod
    def for_param(cls, param):
        """Of nets that propose regions by themselves; others get theirs with the pictures."""
        from ._region_layers import RegionDataLayer

        return cls if "gt_boxes" in param.top else RegionDataLayer

    def __init__(self, param, **context):
        super().__init__(param, **context)
        try:
            given = yaml_mapping(self.options.param_str, "param_str")
        except CaffeliteError as problem:
            raise self.error(str(problem)) from None
        classes = (given or {}).get("num_classes")
        if type(classes) is not int or not 2 <= classes < 1 << 16 or len(given) > 1:
            raise self.error(
                f"param_str: expected YAML, {{'num_classes': how many, with the background}}: "
                f"{self.options.param_str}"
            )
        self.classes = classes
        self.check_settings()
        self.param = type(param)()
        self.param.CopyFrom(param)
        self.param.data_param.batch_size = 1
        self.param.data_param.source = rcnn_settings["TRAIN.SOURCE"]
        self.param.roi_data_param.scale.extend(rcnn_settings["TRAIN.SCALES"])
        self.param.roi_data_param.max_size = rcnn_settings["TRAIN.MAX_SIZE"]
        self.param.transform_param.mean_value.extend(rcnn_settings["PIXEL_MEANS"])
        self.options = self.param.data_param

    def check_settings(self):
        """Raise where the settings are of another net."""
        if rcnn_settings["TRAIN.REGIONS"]:
            raise self.error(
                f"TRAIN.REGIONS: {rcnn_settings['TRAIN.REGIONS']}, but the tops are data, im_info, "
                "gt_boxes: the net proposes regions by itself, and the settings are of another one"
            )

    def unread(self):
        """Nothing: its options are of the settings."""
        return []

    def setup(self, bottom_shapes):
        if self.options.source:
            return super().setup(bottom_shapes)
        self.shapes = self.largest_shapes()
        return None

    def largest_shapes(self):
        """Those of the tops, before there are data."""
        return [(1, 3, rcnn_settings["TRAIN.SCALES"][0], rcnn_settings["TRAIN.MAX_SIZE"]),
                (1, 3), (1, 5)]  # fmt: skip

    def forward(self, bottom, top):
        if self.source is None:
            raise self.error(self.no_data)
        super().forward(bottom, top)

    def set_roidb(self, roidb):
        """Read the pictures of a list of dicts, see `RoidbSource`, from now on."""
        self.close()
        self.roidb, self.options.source = list(roidb), "roidb"
        self.setup(())

    def close(self):
        if self.source is not None:
            super().close()

    def stored_shape(self):
        return None

    def told_shapes(self):
        return [(1, 3, 0, 0), *[(0,)] * (self.num_tops - 1)]

    def open_pictures(self):
        if self.roidb:
            return RoidbSource(self.roidb)
        return TrueBoxesSource(self.options.source, True, shuffle=True)

    def make_transformer(self):
        flips = rcnn_settings["TRAIN.USE_FLIPPED"] and not self.roidb
        self.param.transform_param.mirror = flips and self.phase == TRAIN
        return super().make_transformer()


STAND_INS = {("roi_data_layer.layer", "RoIDataLayer"): RoIDataLayer}
