from ...data.box_labels import Fives, Grids
from ...data.sampler import BoxCrop
from ...proto.caffe_pb2 import EmitConstraint
from ..base import TRAIN, register
from .annotated_data import AnnotatedData

SIDE = 7  # where none is given
MOST_SIDE = 4096


@register("BoxData")
class BoxData(AnnotatedData):
    """Pictures with boxes for the first YOLO: labels say what is in each cell of a grid.

    It reads AnnotatedDatums, and the Datums of yk's caffe-yolo, which have their boxes in
    float_data: class from 0, difficult, and middle x, y, width, height in fractions of the sides.

    In phase TRAIN, without batch_sampler, each picture is cropped to 0.71 up to 1 of its sides, to
    where the middle of a box is, and resized to what it was; boxes with their middles in the crop
    are left, whole, even where they reach beyond it.

    Top
        0: data, as Data's
        1, 2, ...: labels, batch_size x 7 side^2, one for each side that is given: side^2 numbers
           that say whether the object of a cell is difficult, side^2, whether there is one, side^2
           of its class, from 0 (-1 for none), and then middle x, y, width, height, cell by cell. An
           object is in the cell of its middle; of several, the last one counts
    Options (data_param)
        side: cells of a grid along a side; one for each top behind the data [7]
        label_boxes: instead, labels are batch_size x 5 label_boxes: class from 0, middle x, y,
            width, height of a box after another, then 0; 30 for gklz1982's caffe-yolov2 [0]
        source, backend, batch_size, prefetch, shuffle: as for Data
    Options (annotated_data_param)
        batch_sampler, label_map_file, anno_type: as for AnnotatedData
    Options (transform_param)
        all that AnnotatedData has
    Source
        Redmon et al. 2015, arXiv:1506.02640; github.com/yeahkun/caffe-yolo
    """

    tops = (1, None)
    ignored = {
        "data_param.side": None,
        "data_param.label_boxes": None,
        "annotated_data_param.yolo_data_type": "labels are grids; AnnotatedData gives such rows",
        "annotated_data_param.yolo_data_jitter": "write batch_sampler",
        "annotated_data_param.train_diffcult": "labels say which boxes are difficult",
    }
    refused = {
        "data_param.label_boxes": None,
        "data_param.label_source": "is for Data and AnnotatedData, which have a top for it",
    }
    emit = EmitConstraint(emit_type=EmitConstraint.CENTER)

    def setup(self, bottom_shapes):
        sides = list(self.options.side) or [SIDE]
        if self.options.side and self.options.label_boxes:
            raise self.error("side, label_boxes: give one of them")
        if len(sides) != max(1, self.num_tops - 1):
            raise self.error(
                f"side: {len(sides)} are given for {self.num_tops - 1} tops behind the data, "
                "expected one for each"
            )
        if not all(1 <= side <= MOST_SIDE for side in sides):
            raise self.error(f"side: {sides}, expected 1 to {MOST_SIDE} cells")
        super().setup(bottom_shapes)

    def crop(self, resize):
        if self.param.annotated_data_param.batch_sampler:
            return super().crop(resize)
        return BoxCrop() if self.phase == TRAIN else None

    def make_box_labels(self):
        count = self.options.label_boxes
        if count:
            return Fives(count, difficult=True, flat=True)
        return Grids(list(self.options.side) or [SIDE])
