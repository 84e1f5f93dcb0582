from ...data.annotated import AnnotatedSource
from ...data.regions import Regions
from ...data.true_boxes import (
    ScaledBoxes,
    ScaledTransformer,
    ShortSide,
    TrueBoxes,
    TrueBoxesSource,
)
from ..base import TRAIN, register
from .annotated_data import AnnotatedData


@register("RoIData")
class RoIData(AnnotatedData):
    """A picture with its true boxes, in pixels, for detectors in two stages; a thread reads ahead.

    All that is done to a picture is AnnotatedData's; boxes move along. Those that are difficult
    are left out, and so are pictures that have no other; with `rows` both stay.

    Top
        0: data, 1 x channels x height x width
        1: im_info, 1 x 3: height and width of data, and by what the stored picture was multiplied:
           the factor of `scale`, else that of the height
        2: gt_boxes, boxes x 5: xmin, ymin, xmax, ymax in pixels of data, class from 1 on. Corners
           are those of the stored picture, the last pixel of which belongs to the box, times that
           factor, as in Girshick's code. With `rows`, boxes as AnnotatedData has them, 1 x 1 x
           boxes x 8, for DetectionEvaluate
        3: with `regions`, regions x 5: 0, xmin, ymin, xmax, ymax, in pixels as those of gt_boxes;
           they move along, too, and what a crop cuts off from one is lost to it
    Options (roi_data_param)
        scale: resize to so many pixels of the short side; repeated: one is drawn
        max_size: then, the long side is no longer than this; 0: any length [0]
        rows: see above; batch_size may then be above 1, if pictures are of one size [false]
        regions: a database of regions of the pictures of `source`, which `caffelite regions` makes;
            batch_size is 1 then [""]
    Options (data_param)
        source, backend, prefetch, shuffle: as for Data
        batch_size: 1: gt_boxes do not tell pictures apart
    Options (annotated_data_param)
        batch_sampler, label_map_file, anno_type: as for AnnotatedData
    Options (transform_param)
        all that AnnotatedData has
    Source
        Girshick 2015, arXiv:1504.08083 (Fast R-CNN); Ren, He, Girshick, Sun 2015, arXiv:1506.01497
    """

    more_options = ("transform_param", "annotated_data_param", "roi_data_param")
    ignored = {
        "annotated_data_param.yolo_data_jitter": "write batch_sampler",
        "annotated_data_param.train_diffcult": "difficult boxes are never learnt from",
    }
    refused = {
        "data_param.label_source": "is for Data and AnnotatedData, which have a top for it",
        "annotated_data_param.yolo_data_type": "boxes are in pixels here",
    }
    sizes: int | None = 1

    @property
    def tops(self):
        return 4 if self.param.roi_data_param.regions else 3

    def setup(self, bottom_shapes):
        own = self.param.roi_data_param
        if self.options.batch_size > 1 and not own.rows:
            raise self.error(
                f"batch_size: {self.options.batch_size}, expected 1: gt_boxes do not tell pictures "
                "apart; to learn from several at once, write iter_size in the solver"
            )
        if self.options.batch_size > 1 and (len(own.scale) > 1 or own.max_size):
            raise self.error(
                f"batch_size: {self.options.batch_size}, expected 1: with scale and max_size, "
                "pictures have sizes of their own"
            )
        if self.options.batch_size > 1 and own.regions:
            raise self.error(
                f"batch_size: {self.options.batch_size}, expected 1 with regions, which are told "
                "of one picture"
            )
        if not all(own.scale):
            raise self.error("scale is 0, expected pixels of the short side, 1 or more")
        if own.max_size and not own.scale:
            raise self.error("max_size is given without scale, the pixels of the short side")
        if own.scale and self.param.transform_param.resize_params:
            raise self.error("scale resizes pictures: leave out the resize_param")
        super().setup(bottom_shapes)

    @property
    def source_class(self):
        return AnnotatedSource if self.param.roi_data_param.rows else TrueBoxesSource

    def open_pictures(self):
        return self.with_regions(super().open_pictures())

    def with_regions(self, source):
        """The source, with the regions of its pictures, if there is a database of them."""
        path = self.param.roi_data_param.regions
        if path:
            source.regions = Regions(path)
            source.regions.check_length(len(source.records), self.options.source)
        return source

    @property
    def short_side(self):
        own = self.param.roi_data_param
        return ShortSide(list(own.scale), own.max_size) if own.scale else None

    def make_transformer(self):
        return ScaledTransformer(
            self.param.transform_param,
            self.phase == TRAIN,
            self.dtype,
            self.crop,
            self.emit,
            short_side=self.short_side,
        )

    def follower(self):
        return lambda boxes, shape: ScaledBoxes(boxes, shape[1:])

    def make_box_labels(self):
        return TrueBoxes(self.param.roi_data_param.rows, bool(self.param.roi_data_param.regions))

    def told_size(self):
        return (0, 0) if self.param.roi_data_param.scale else super().told_size()
