"""Words that descendants of Caffe added to its schema: whose they are, what becomes of them here.

One table, `WORDS`, for nets, layers and solvers. All of its words are fields of our schema, so that
files parse; those who read a message ask `undone` about what they do not do themselves. What a
word is worth stands here, once:

passed(why)
    nothing is lost without it: it is passed over, with one line of warning
refused(way_out)
    it changes results and is not done: an error, which says what to write instead
DONE
    it is done, as its fork does it

What a class of layers says of an option, in its tables `ignored` and `refused`, counts before this.
Words of types that are not here need no entry; `TYPES` tells whose they are.
"""

from __future__ import annotations

from typing import NamedTuple

from .given import Given

NVCAFFE = "NVCaffe"
INTEL = "Intel Caffe"
YOLO = "MobileNet-YOLO"
GKLZ = "gklz1982's caffe-yolov2"
TSN = "temporal-segment-networks' Caffe"
LISA = "LRCN's lisa-caffe"
ENET = "ENet's Caffe"
MPI = "Caffe-MPI"
SSD = "SSD's Caffe"
SCNN = "SCNN's Caffe"
DEEPLAB = "DeepLab's Caffe"
RISTRETTO = "Ristretto"
BVLC_2014 = "the Caffe of 2014"
AUGMENTATION = "kostyaev's caffe-augmentation"
WEIGHTED = "shicai's Weighted_Softmax_Loss"
CONCEPTS = "the Caffe of From Captions to Visual Concepts"


class Verdict(NamedTuple):
    """What becomes of a word: "done", "passed" or "refused", and why, or what to write instead."""

    kind: str
    words: str = ""


class Word(NamedTuple):
    """A word of a fork."""

    fork: str
    kind: str
    words: str

    @property
    def said(self) -> str:
        """What messages say behind the name of a word that is not done."""
        if self.kind == "refused":
            return f"is a word of {self.fork} that is not done here; {self.words}"
        return f"does nothing here; {self.words} (a word of {self.fork})"


DONE = Verdict("done")


def passed(why: str) -> Verdict:
    return Verdict("passed", why)


def refused(way_out: str) -> Verdict:
    return Verdict("refused", way_out)


_PRECISION = passed("all numbers of a net have one precision")
_CUDNN = passed("there is no cuDNN here")
_GPU = passed("there is no GPU here")
_ENGINE = passed("there is one engine")
_GRADIENTS = passed("gradients are float32, which need no scale")
_NODES = passed("every process has the whole net")
_LOADING = passed("prefetch says how many batches are loaded ahead, and pages stay in memory")
_BOXES = passed("it is for layers with boxes")
_RELU = refused("put a ReLU layer behind this one")
_CROPS = refused("write crop_size, mirror and random_resize_param")
_GROUPS = refused('weight_decay with regularization_type: "L1" makes single weights small')

# fork -> {MESSAGE.FIELD, or MESSAGE.FIELD: VALUE for one value of it: what becomes of it}
_BY_FORK: dict[str, dict[str, Verdict]] = {
    NVCAFFE: {
        "NetParameter.default_forward_type": _PRECISION,
        "NetParameter.default_backward_type": _PRECISION,
        "NetParameter.default_forward_math": _PRECISION,
        "NetParameter.default_backward_math": _PRECISION,
        "NetParameter.global_grad_scale": _GRADIENTS,
        "NetParameter.global_grad_scale_adaptive": _GRADIENTS,
        "NetParameter.default_conv_algos_override": _CUDNN,
        "NetParameter.default_cudnn_math_override": _CUDNN,
        "NetParameter.reduce_buckets": passed("gradients are exchanged whole"),
        "NetParameter.eltwise_mem_sharing": passed("memory is shared where it can be"),
        "LayerParameter.forward_type": _PRECISION,
        "LayerParameter.backward_type": _PRECISION,
        "LayerParameter.forward_math": _PRECISION,
        "LayerParameter.backward_math": _PRECISION,
        "LayerParameter.cudnn_math_override": _CUDNN,
        "LayerParameter.debug": passed("debug_info of the net or the solver logs all layers"),
        "ConvolutionParameter.cudnn_convolution_algo_seeker": _CUDNN,
        "ConvolutionParameter.conv_algos_override": _CUDNN,
        "PoolingParameter.torch_pooling": refused("write round_mode: FLOOR"),
        "BatchNormParameter.scale_filler": DONE,
        "BatchNormParameter.bias_filler": DONE,
        "BatchNormParameter.scale_bias": DONE,
        "DataParameter.cache": _LOADING,
        "DataParameter.threads": _LOADING,
        "DataParameter.parser_threads": _LOADING,
        "DataParameter.shuffle": DONE,
        "TransformationParameter.use_gpu_transform": _GPU,
        "TransformationParameter.random_seed": passed("random_seed of the solver seeds all draws"),
        "TransformationParameter.display": passed("caffelite browse and visualize show pictures"),
        "TransformationParameter.num_labels": _BOXES,
        "TransformationParameter.var_sz_img_enabled": passed("pictures may differ in size"),
        "TransformationParameter.img_rand_resize_lower": DONE,
        "TransformationParameter.img_rand_resize_upper": DONE,
        "TransformationParameter.rand_resize_ratio_lower": DONE,
        "TransformationParameter.rand_resize_ratio_upper": DONE,
        "TransformationParameter.vertical_stretch_lower": DONE,
        "TransformationParameter.vertical_stretch_upper": DONE,
        "TransformationParameter.horizontal_stretch_lower": DONE,
        "TransformationParameter.horizontal_stretch_upper": DONE,
        "TransformationParameter.interpolation_algo_down": DONE,
        "TransformationParameter.interpolation_algo_up": DONE,
        "TransformationParameter.allow_upscale": DONE,
        "TransformationParameter.var_sz_img_rand_resize_lower": DONE,
        "TransformationParameter.var_sz_img_rand_resize_upper": DONE,
        "TransformationParameter.var_sz_img_rand_crop": refused("write crop_size"),
        "TransformationParameter.var_sz_img_center_crop": refused("write crop_size"),
        "SolverParameter.min_lr": DONE,
        "SolverParameter.rampup_interval": DONE,
        "SolverParameter.rampup_lr": DONE,
        "SolverParameter.momentum_policy": DONE,
        "SolverParameter.max_momentum": DONE,
        "SolverParameter.momentum_power": DONE,
        "SolverParameter.weight_decay_policy": DONE,
        "SolverParameter.weight_decay_power": DONE,
        "SolverParameter.larc": DONE,
        "SolverParameter.larc_policy": DONE,
        "SolverParameter.larc_eta": DONE,
        "SolverParameter.larc_turbo": refused("leave it out for the rates that larc alone gives"),
        "SolverParameter.local_lr_auto": DONE,
        "SolverParameter.local_gw_ratio": DONE,
        "SolverParameter.max_epoch": DONE,
        "SolverParameter.epoch_size": DONE,
        "SolverParameter.test_epoch_size": DONE,
        "SolverParameter.test_interval_epoch": DONE,
        "SolverParameter.solver_data_type": _PRECISION,
        "SolverParameter.store_blobs_in_old_format": passed("weights are always written so"),
        "SolverParameter.per_parameter_reduce": passed("gradients are exchanged one by one"),
    },
    INTEL: {
        "NetParameter.engine": _ENGINE,
        "NetParameter.compile_net_state": passed("layers that can run in one step do"),
        "NetParameter.bn_stats_batch_size": passed("BatchNorm's statistics are of the whole batch"),
        "NetParameter.multinode": _NODES,
        "LayerParameter.multinode": _NODES,
        "LayerParameter.mn_grad_compress_param": _NODES,
        "LayerParameter.split_param": _ENGINE,
        "BatchNormParameter.use_weight_bias": DONE,
        "BatchNormParameter.bias_term": refused("write a BatchNorm and a Scale layer"),
        "BatchNormParameter.filler": DONE,
        "BatchNormParameter.relu": _RELU,
        "BatchNormParameter.stats_batch_size": passed("statistics are of the whole batch"),
        "ConvolutionParameter.relu": _RELU,
        "ConvolutionParameter.negative_slope": passed("it is the slope of a relu that is not on"),
        "ConvolutionParameter.conv_algorithm": _ENGINE,
        "PoolingParameter.avg_include_pad": refused(
            "means count the padding here; a Python layer may leave it out"
        ),
        "PoolingParameter.axis": refused("axes 2 and 3 are pooled; put a Transpose before it"),
        "ReLUParameter.fuse": passed("layers that can run in one step do"),
        "ImageDataParameter.min_height": DONE,
        "ImageDataParameter.min_width": DONE,
        "TransformationParameter.random_resize_param": DONE,
        "TransformationParameter.random_aspect_ratio_param": DONE,
        "TransformationParameter.bgr2rgb": DONE,
        "TransformationParameter.pad": refused("store the pictures with their border"),
        "SolverParameter.warmup_iter": DONE,
        "SolverParameter.warmup_start_lr": DONE,
        "SolverParameter.engine": _ENGINE,
        "SolverParameter.disabled_update": refused("caffelite time measures without learning"),
    },
    YOLO: {
        "SolverParameter.stagelr": DONE,
        "SolverParameter.stageiter": DONE,
        "TransformationParameter.resize_params": DONE,
    },
    GKLZ: {
        f"DetectionOutputParameter.{name}": refused(
            "write YoloDetectionOutput with yolo_detection_output_param, which has these fields"
        )
        for name in ("side", "num_box", "coords", "nms_threshold", "biases", "label_map_file")
    },
    TSN: {
        "SolverParameter.device_ids": _GPU,
        "SolverParameter.group_id": _GPU,
        "SolverParameter.richness": _CUDNN,
        "TransformationParameter.is_flow": DONE,
        "TransformationParameter.fix_crop": _CROPS,
        "TransformationParameter.more_fix_crop": _CROPS,
        "TransformationParameter.multi_scale": _CROPS,
        "TransformationParameter.scale_ratios": passed("it is of multi_scale"),
        "TransformationParameter.max_distort": passed("it is of multi_scale"),
        "TransformationParameter.original_image": _CROPS,
        "TransformationParameter.stride": refused("resize the pictures before"),
        "TransformationParameter.upper_size": refused("resize the pictures before"),
        "TransformationParameter.upper_height": refused("resize the pictures before"),
        "TransformationParameter.upper_width": refused("resize the pictures before"),
        "ConvolutionParameter.dilation_h": DONE,
        "ConvolutionParameter.dilation_w": DONE,
        "ReductionParameter.operation: TOPK": refused("sort in a Python layer"),
        "ReductionParameter.k": passed("it is of operation: TOPK"),
    },
    LISA: {
        "TransformationParameter.flow": DONE,
        "AccuracyParameter.denominator": refused("the share of those that count is told"),
        "EltwiseParameter.coeff_blob": DONE,
    },
    ENET: {
        "DenseImageDataParameter.root_folder_image": DONE,
        "DenseImageDataParameter.root_folder_label": DONE,
        "DenseImageDataParameter.label_divide_factor": DONE,
        "DenseImageDataParameter.mirror": DONE,
        "DenseImageDataParameter.crop_height": DONE,
        "DenseImageDataParameter.crop_width": DONE,
        "DenseImageDataParameter.multi_scale": refused("write random_resize_param"),
    },
    MPI: {
        "SolverParameter.timeout_sec": passed("processes wait for each other"),
        "SolverParameter.timeout_nsec": passed("processes wait for each other"),
    },
    SSD: {
        "SolverParameter.eval_type": passed("tests show the means of the net's outputs"),
        "SolverParameter.ap_version": DONE,
        "SolverParameter.show_per_class_result": DONE,
        "SolverParameter.plateau_winsize": DONE,
    },
    SCNN: {
        "ParamSpec.force_mult": passed("there is no force regularization"),
        "ParamSpec.breadth_decay_mult": passed("it is of breadth_decay"),
        "ParamSpec.kernel_shape_decay_mult": passed("it is of kernel_shape_decay"),
        "ParamSpec.block_group_lasso": passed("it is of block_group_decay"),
        "SolverParameter.breadth_decay": _GROUPS,
        "SolverParameter.kernel_shape_decay": _GROUPS,
        "SolverParameter.block_group_decay": _GROUPS,
    },
    DEEPLAB: {
        "ConvolutionParameter.hole": DONE,
        "ConvolutionParameter.hole_h": DONE,
        "ConvolutionParameter.hole_w": DONE,
        "ImageDataParameter.label_type": DONE,
        "ImageDataParameter.ignore_label": DONE,
    },
    RISTRETTO: {
        "LayerParameter.quantization_param": passed("the numbers of the layer stay float32"),
    },
    BVLC_2014: {
        "SolverParameter.stepearly": DONE,
    },
}

WORDS: dict[str, Word] = {
    name: Word(fork, *verdict)
    for fork, words in _BY_FORK.items()
    for name, verdict in words.items()
}

# Fields that forks give several times, and Caffe once -> the field that has them all here.
SEVERAL_TIMES = {
    "SolverParameter.device_id": "device_ids",
    "TransformationParameter.resize_param": "resize_params",
}

_AS_WRITTEN = {several: name.partition(".")[2] for name, several in SEVERAL_TIMES.items()}

IN_SOLVERS = {n.partition(".")[2] for n in WORDS if n.startswith("SolverParameter.")}

# Types of layers that are not here -> whose they are.
TYPES = {
    "DetectNetTransformation": NVCAFFE,
    "ContinuationIndicator": INTEL,
    "MnActivation": INTEL,
    "AssistedExcitation": YOLO,
    "GaussianYolov3": YOLO,
    "YoloSeg": YOLO,
    "SegmentationEvaluate": YOLO,
    "VideoData": TSN,
    "SegData": TSN,
    "BatchReduction": TSN,
    "CTCDecoder": "CTPN's Caffe",
    "BiasChannel": DEEPLAB,
    "DenseCRF": DEEPLAB,
    "DomainTransform": DEEPLAB,
    "MatRead": DEEPLAB,
    "MatWrite": DEEPLAB,
    "UniqueLabel": DEEPLAB,
    "CPMData": "OpenPose's Caffe",
    "DeformableConvolution": "Deformable ConvNets' Caffe",
    "LabelSpecificAdd": "AM-Softmax's Caffe",
    "MultiStageMeanfield": "CRF-RNN's Caffe",
    "MIL": CONCEPTS,
    "MILData": CONCEPTS,
    "WeightedSoftmaxWithLoss": WEIGHTED,
    "ConvolutionRistretto": RISTRETTO,
    "DeconvolutionRistretto": RISTRETTO,
    "FcRistretto": RISTRETTO,
    "LRNRistretto": RISTRETTO,
}

# Types in the old form, layers { type: BN }, that Caffe has not there -> whose they are.
OLD_TYPES = {
    "BN": "SegNet's Caffe",
    "IMAGE_SEG_DATA": DEEPLAB,
    "DENSE_CRF": DEEPLAB,
    "MULTI_STAGE_MEANFIELD": "CRF-RNN's Caffe",
}

# Messages of LayerParameter that the schema lacks -> whose they are.
MESSAGES = {
    "dense_crf_param": DEEPLAB,
    "domain_transform_param": DEEPLAB,
    "mat_read_param": DEEPLAB,
    "mat_write_param": DEEPLAB,
    "unique_label_param": DEEPLAB,
    "bias_channel_param": DEEPLAB,
    "adaptive_bias_channel_param": DEEPLAB,
    "augmentation_param": "FlowNet2's Caffe",
    "black_augmentation_param": "FlowNet2's Caffe",
    "coeff_schedule_param": "FlowNet2's Caffe",
    "flow_warp_param": "FlowNet2's Caffe",
    "l1_loss_param": "FlowNet2's Caffe",
    "lpq_loss_param": "FlowNet2's Caffe",
    "mean_param": "FlowNet2's Caffe",
    "reader_param": "FlowNet2's Caffe",
    "resample_param": "FlowNet2's Caffe",
    "cpm_transform_param": "OpenPose's Caffe",
    "deformable_convolution_param": "Deformable ConvNets' Caffe",
    "deformable_psroi_pooling_param": "Deformable ConvNets' Caffe",
    "label_specific_add_param": "AM-Softmax's Caffe",
    "multi_stage_meanfield_param": "CRF-RNN's Caffe",
    "bbox_reg_param": "MS-CNN's Caffe",
    "box_output_param": "MS-CNN's Caffe",
    "decode_bbox_param": "MS-CNN's Caffe",
    "detection_accuracy_param": "MS-CNN's Caffe",
    "image_gt_data_param": "MS-CNN's Caffe",
    "imresize_param": "OpenPose's Caffe",
    "nms_param": "OpenPose's Caffe",
    "color_conv_param": TSN,
    "parse_evaluate_param": "ParseNet's Caffe",
    "unpooling_param": "ParseNet's Caffe",
    "sparsify_param": SCNN,
    "symmetric_rectify_param": SCNN,
    "trt_param": NVCAFFE,
    "axpy_param": "SENet's Caffe",
    "mil_data_param": CONCEPTS,
    "mil_param": CONCEPTS,
}

# Other fields that the schema lacks, by their message -> (whose they are, what to write instead).
_WARPS = AUGMENTATION, "warp_param, distort_param and noise_std vary pictures"
_SIDES = AUGMENTATION, "random_resize_param resizes the short side"
FIELDS = {
    "TransformationParameter.min_side": _SIDES,
    "TransformationParameter.min_side_min": _SIDES,
    "TransformationParameter.min_side_max": _SIDES,
    "TransformationParameter.max_rotation_angle": _WARPS,
    "TransformationParameter.contrast_brightness_adjustment": _WARPS,
    "TransformationParameter.smooth_filtering": _WARPS,
    "TransformationParameter.min_contrast": _WARPS,
    "TransformationParameter.max_contrast": _WARPS,
    "TransformationParameter.max_brightness_shift": _WARPS,
    "TransformationParameter.max_smooth": _WARPS,
    "TransformationParameter.max_color_shift": _WARPS,
    "TransformationParameter.apply_probability": _WARPS,
    "TransformationParameter.debug_params": _WARPS,
    "TransformationParameter.enable_classf_aug": (
        YOLO,
        "distort_param and warp_param vary pictures",
    ),
    "TransformationParameter.cvt_bgr2rgb": (YOLO, "write bgr2rgb: true"),
    "AnnotatedDataParameter.difficult_label_warmup": (YOLO, "train_diffcult takes difficult boxes"),
    "DetectionOutputParameter.objectness_score": (
        "RefineDet's Caffe",
        "a Python layer may leave out priors that score low as objects",
    ),
    "Annotation.lanes": (YOLO, "labels of lanes are for a Python layer"),
    "SoftmaxParameter.pos_mult": (WEIGHTED, "class_weighting in loss_param weighs classes"),
    "SoftmaxParameter.pos_cid": (WEIGHTED, "class_weighting in loss_param weighs classes"),
}

# Words that stand for numbers in templates -> whose they are, and how they are filled in.
TEMPLATES = {
    name: ("MobileNet-SSD", f"of N classes, {name} is {number}; its gen_model.sh N fills them in")
    for name, number in (("cls1x", "N"), ("cls3x", "3 N"), ("cls6x", "6 N"))
}


def as_written(name: str) -> str:
    """What a file calls a field that it gives several times, and the schema once."""
    return _AS_WRITTEN.get(name, name)


def undone(option: Given) -> Word | None:
    """The word that a field that asks for something is, unless it is done; None if it is none."""
    name = f"{option.message}.{option.names[-1]}"
    word = WORDS.get(f"{name}: {option.word}") or WORDS.get(name)
    return word if word and word.kind != "done" else None
