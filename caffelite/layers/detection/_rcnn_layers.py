"""The Python layers of py-faster-rcnn and R-FCN, in place of their modules.

What they compute is that of the layers here. They read `param_str`, YAML, and the settings.
"""

from ...errors import CaffeliteError
from ...proto import caffe_pb2
from ...reading import is_number, yaml_mapping
from ..base import TRAIN, Layer
from ..options import OWN_LAYERS
from ._rcnn_settings import rcnn_settings
from ._regions import one_picture
from .anchor_target import AnchorTarget
from .proposal import Proposal
from .proposal_target import ProposalTarget

WHOLE, NUMBERS = "a whole number above 0", "a list of numbers above 0"


class RcnnLayer(Layer):
    """What their three layers share.

    `words` are those of `param_str`, the first of which must be there, and what each is to be;
    `made(given)` are the options for what param_str gives, and for the settings.
    """

    type = "Python"
    options_field = "python_param"
    ignored = {"python_param.share_in_parallel": OWN_LAYERS}

    def __init__(self, param, **context):
        super().__init__(param, **context)
        given = self._read_param_str()
        try:
            self.options = self.made(given)
        except ValueError as problem:  # below 0
            raise self.error(f"a setting does not fit: {problem}") from None

    def _read_param_str(self):
        text, needed = self.param.python_param.param_str, next(iter(self.words))
        try:
            given = yaml_mapping(text, "param_str")
        except CaffeliteError as problem:
            raise self.error(str(problem)) from None
        if given is None or needed not in given or not given.keys() <= self.words.keys():
            wanted = ", ".join(f"'{name}': {what}" for name, what in self.words.items())
            raise self.error(f"param_str: expected YAML, {{{wanted}}}, with {needed}: {text}")
        for name, value in given.items():
            if not _is(value, self.words[name]):
                raise self.error(f"param_str: '{name}' is {value!r}, expected {self.words[name]}")
        return given


def _is(value, what):
    if what == NUMBERS:
        return isinstance(value, list) and value and all(is_number(v) and v > 0 for v in value)
    return type(value) is int and (what != WHOLE or value > 0) and 0 <= value < 1 << 31


class ProposalLayer(RcnnLayer, Proposal):
    """As Proposal; what is too small is left out, and a region goes at an overlap of nms_thresh."""

    words = {"feat_stride": WHOLE, "scales": NUMBERS}
    drops_small = inclusive = True

    def made(self, given):
        phase = "TRAIN" if self.phase == TRAIN else "TEST"
        return caffe_pb2.ProposalParameter(
            feat_stride=given["feat_stride"],
            scale=given.get("scales", ()),
            min_size=rcnn_settings[f"{phase}.RPN_MIN_SIZE"],
            pre_nms_topn=max(rcnn_settings[f"{phase}.RPN_PRE_NMS_TOP_N"], 0),
            post_nms_topn=max(rcnn_settings[f"{phase}.RPN_POST_NMS_TOP_N"], 0),
            nms_thresh=rcnn_settings[f"{phase}.RPN_NMS_THRESH"],
        )

    def infer_shapes(self, bottom_shapes):
        one_picture(self, 0, bottom_shapes[0])
        return super().infer_shapes(bottom_shapes)


class AnchorTargetLayer(RcnnLayer, AnchorTarget):
    """As AnchorTarget, by the settings."""

    words = {"feat_stride": WHOLE, "scales": NUMBERS, "allowed_border": "a whole number from 0 on"}

    def made(self, given):
        if rcnn_settings["TRAIN.RPN_NORMALIZE_TARGETS"]:
            raise self.error("TRAIN.RPN_NORMALIZE_TARGETS: true is not done here")
        return caffe_pb2.AnchorTargetParameter(
            feat_stride=given["feat_stride"],
            scale=given.get("scales", ()),
            allowed_border=given.get("allowed_border", 0),
            positive_overlap=rcnn_settings["TRAIN.RPN_POSITIVE_OVERLAP"],
            negative_overlap=rcnn_settings["TRAIN.RPN_NEGATIVE_OVERLAP"],
            clobber_positives=rcnn_settings["TRAIN.RPN_CLOBBER_POSITIVES"],
            batch_size=rcnn_settings["TRAIN.RPN_BATCHSIZE"],
            fg_fraction=rcnn_settings["TRAIN.RPN_FG_FRACTION"],
            positive_weight=rcnn_settings["TRAIN.RPN_POSITIVE_WEIGHT"],
            bbox_inside_weight=rcnn_settings["TRAIN.RPN_BBOX_INSIDE_WEIGHTS"],
        )


class ProposalTargetLayer(RcnnLayer, ProposalTarget):
    """As ProposalTarget, by the settings."""

    words = {"num_classes": WHOLE}

    def made(self, given):
        options = caffe_pb2.ProposalTargetParameter(
            num_classes=given["num_classes"],
            batch_size=rcnn_settings["TRAIN.BATCH_SIZE"],
            fg_fraction=rcnn_settings["TRAIN.FG_FRACTION"],
            fg_thresh=rcnn_settings["TRAIN.FG_THRESH"],
            bg_thresh_hi=rcnn_settings["TRAIN.BG_THRESH_HI"],
            bg_thresh_lo=rcnn_settings["TRAIN.BG_THRESH_LO"],
            bbox_inside_weight=rcnn_settings["TRAIN.BBOX_INSIDE_WEIGHTS"],
            class_agnostic=rcnn_settings["TRAIN.AGNOSTIC"],
        )
        if rcnn_settings["TRAIN.BBOX_NORMALIZE_TARGETS_PRECOMPUTED"]:
            options.bbox_mean.extend(rcnn_settings["TRAIN.BBOX_NORMALIZE_MEANS"])
            options.bbox_std.extend(rcnn_settings["TRAIN.BBOX_NORMALIZE_STDS"])
        return options


STAND_INS = {
    ("rpn.proposal_layer", "ProposalLayer"): ProposalLayer,
    ("rpn.anchor_target_layer", "AnchorTargetLayer"): AnchorTargetLayer,
    ("rpn.proposal_target_layer", "ProposalTargetLayer"): ProposalTargetLayer,
}
