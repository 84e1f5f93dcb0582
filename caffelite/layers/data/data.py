import logging
import os

from ...data.datum import DatumSource
from ...data.datum_pairs import DatumPairSource
from ...data.order import ORDERS
from ...data.pixel_labels import PixelLabels, pictures_of
from ...data.transform import DataTransformer, PairTransformer
from ..base import TRAIN, Count, register
from ._prefetched import IN_TRANSFORM, PrefetchedLayer

log = logging.getLogger("caffelite")

MOST_PREFETCHED = 1000  # batches; more would only fill the memory


@register("Data")
class Data(PrefetchedLayer):
    """Samples from a database of Datums, in key order, over and over; a thread reads ahead.

    Top
        0: data, batch_size x channels x height x width; the shape of the first sample of each
           batch, which the others must have too; with ten_crop and test_size, batch_size times the
           crops of a sample, one sample behind the other
        1: label (optional), batch_size; with label_source, batch_size x 1 x height x width
    Options (data_param)
        source: the database, a directory, from where the program runs; or several, which are read
            as one, by a pattern, as data/train-{0000..0007}.tar or data/train_lmdb-*, or by a text
            file, .txt, that lists them, a line each. Samples come round these shards: one of each,
            and again
        backend: LMDB; TAR, of pictures 000123.jpg (.png, ...) and their labels 000123.cls, as
            WebDataset has them; or LEVELDB, which needs the extra [leveldb] [LEVELDB]
        batch_size: samples in a batch
        prefetch: batches loaded ahead [4]
        shuffle: another order in each pass, which follows from the seed; of shards, and of the
            records in them [false]
        shuffle_buffer: how many samples shuffle mixes with each other, so that those in a row lie
            near each other in their shards; 0 for all of a shard [0]
        label_shuffle: the same, with every class as often as the largest; labels are found by
            reading the database once, when the net is built [false]
        balanced_batches: the same, and in turn, so that batch_size samples have as many of each
            class where it is a multiple of the classes' number [false]
        label_source: a database with a picture of labels for each record of source, in the same
            order; all that transform_param does to places is done to the labels, too [""]
        ignore_label: the label where a picture that is moved leaves a border, with these [255]
    Options (transform_param)
        crop_size: take crop_size x crop_size pixels; anywhere in TRAIN, the middle in TEST [0]
        mean_file, mean_value: what to subtract: a .binaryproto, or a value for each channel
        scale: factor, after the mean is subtracted [1]
        mirror: flip every other sample, at random [false]
        force_color, force_gray: decode encoded pictures to 3 channels, or to 1 [false]
        palette_indices: of encoded pictures with a palette, which are labels, read the indices, not
            the colors [false]
        resize_param: resize to a height and width, squeezed, covering, or padded
        random_resize_param: resize the short side to min_size up to max_size
        random_aspect_ratio_param: in TRAIN, a crop of random area and proportions, as crop_size
        distort_param: in TRAIN, change brightness, contrast, saturation, hue, order of channels,
            and make opposites of their values
        warp_param: in TRAIN, rotate, shear, zoom, shift, and warp locally
        lighting_param: in TRAIN, add noise along the principal colors of the data
        color_shift: in TRAIN, add to blue, to green and to red a number of its own, the same for
            all pixels, up to +- this before scale: one bound, or one for each
        noise_std: in TRAIN, add noise to each value, of this deviation before scale [0]
        mirror_vertical: in TRAIN, turn every other sample upside down, at random [false]
        crop_h, crop_w: instead of crop_size, for rectangles
        ten_crop: in TEST, 10 crops of each sample: corners and middle, then mirrored [false]
        test_size: in TEST, crops of each sample with its short side resized to this; repeated
        img_rand_resize_lower, img_rand_resize_upper: as in NVCaffe, resize the short side to a
            random number between; this and the next four are the same in TEST
        rand_resize_ratio_lower, rand_resize_ratio_upper: then, the long side by the short one
        vertical_stretch_lower, vertical_stretch_upper: then, a random factor of the height
        horizontal_stretch_lower, horizontal_stretch_upper: and one of the width
        interpolation_algo_down, interpolation_algo_up: how to resize for these [INTER_NEAREST,
            INTER_CUBIC]
        allow_upscale: whether these may let a side grow [true]
        flow, is_flow: pictures are optical flow: mirroring makes 255 - v of what points left
            or right: channel 2, or channels 0, 2, 4, ... [false]
    """

    options_field = "data_param"
    files: tuple[str, ...] = ("source", "label_source")
    tops: Count = (1, 2)
    ignored = {
        "data_param.scale": IN_TRANSFORM,
        "data_param.mean_file": IN_TRANSFORM,
        "data_param.crop_size": IN_TRANSFORM,
        "data_param.mirror": IN_TRANSFORM,
        "data_param.rand_skip": "the first sample is always the first record",
        "data_param.force_encoded_color": "write force_color in transform_param",
        "data_param.side": "labels are numbers here, not grids of boxes, as BoxData's",
        "data_param.label_boxes": "labels are numbers here, not boxes, as BoxData's",
    }

    def setup(self, bottom_shapes):
        if not 1 <= self.options.prefetch <= MOST_PREFETCHED:
            raise self.error(
                f"prefetch: {self.options.prefetch}, expected 1 to {MOST_PREFETCHED} batches"
            )
        self.prefetch = self.options.prefetch
        super().setup(bottom_shapes)
        self._warn(self.source)

    def open_source(self):
        pictures = self.open_pictures()
        if not self.options.label_source:
            return pictures
        return DatumPairSource(pictures, self.options.label_source)

    def open_pictures(self):
        """The source of the database that has the pictures."""
        return DatumSource.of_layer(self.param)

    def moot(self):
        alone = {} if self.options.label_source else {"ignore_label": "it is of label_source"}
        orders = [name for name in ORDERS if getattr(self.options, name)]
        if orders[-1:] != ["shuffle"]:
            alone["shuffle_buffer"] = "it is of shuffle"
        return super().moot() | {f"data_param.{name}": why for name, why in alone.items()}

    def make_transformer(self):
        kind = PairTransformer if self.options.label_source else DataTransformer
        return kind(self.param.transform_param, self.phase == TRAIN, self.dtype)

    def follower(self):
        void = self.options.ignore_label
        if not self.options.label_source:
            return None
        return lambda labels, shape: PixelLabels(labels[1][0], void)

    def make_labels(self):
        return pictures_of if self.options.label_source else super().make_labels()

    def labels_shape(self, data_shape):
        if not self.options.label_source:
            return super().labels_shape(data_shape)
        return (data_shape[0], 1, *data_shape[2:])

    def told_labels(self, batch):
        if not self.options.label_source:
            return super().told_labels(batch)
        return [(batch, 1, *self.told_size())][: self.num_tops - 1]

    def _warn(self, source):
        first = source.datum(0)
        if source.color is not None and not first.encoded:
            log.warning("%s: force_color and force_gray act on encoded pictures only", self.at)
        labelled = self.options.label_source
        if self.num_tops > 1 and not labelled and not first.HasField("label"):
            log.warning("%s: %s has no label; it counts as 0", self.at, source.records.name(0))

    def class_names(self):
        """That which `caffelite dataset` leaves beside a database."""
        path = os.path.join(os.path.dirname(self.options.source), "labels.txt")
        return path if os.path.isfile(path) else ""
