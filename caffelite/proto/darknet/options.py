"""Options of sections that no layer is made of: which may be passed over, and which not."""

import logging

log = logging.getLogger("caffelite")

# Options that change what is computed, and the value at which they do not.
_NOT_DONE = {
    "antialiasing": 0, "assisted_excitation": 0, "binary": 0, "deform": 0, "dontload": 0,
    "dontloadscales": 0, "flatten": 0, "extra": 0, "maxpool_depth": 0, "new_coords": 0, "rotate": 0,
    "scale_x_y": 1, "share_index": 0, "stretch": 0, "stretch_sway": 0, "sway": 0, "xnor": 0,
    "spatial": 0,
}  # fmt: skip

# Options of training, and of Darknet's own memory and speed.
_OF_TRAINING = set(
    """absolute adam adversarial_lr angle aspect attention B1 B2 batch beta_nms bias_match burn_in
    class_scale cls_normalizer contrastive coord_scale counters_per_class cutmix decay
    delta_normalizer dynamic_minibatch ema_alpha eps exposure focal_loss forced gaussian_noise
    hue ignore_thresh iou_loss iou_normalizer iou_thresh iou_thresh_kind jitter label_smooth_eps
    learning_rate letter_box loss_scale map_size max_batches max_chart_loss max_crop max_delta
    max_ratio min_crop min_ratio mixup mosaic mosaic_bound momentum nms_kind noloss
    noobject_scale objectness_smooth object_scale obj_normalizer onlyforward optimized_memory
    policy power random rand rescore resize saturation scale scales seen seq_scales show_details
    step steps stopbackward subdivisions thresh time_steps track truth_thresh try_fix_nan type
    use_cuda_graph workspace_size_limit_MB ratio probability clip inputs center epsilon
    sgdr_cycle sgdr_mult reject_threshold decoder_epoch""".split()
)


def check_unread(section):
    """Refuse options that change what is computed; tell of those that nobody knows."""
    for key, line in section.unread.items():
        if key in _NOT_DONE:
            if section.number(key, 0) != _NOT_DONE[key]:
                raise section.error(f"{key}={section.word(key)} is not done here", key)
        elif key not in _OF_TRAINING:
            log.warning(
                '%s:%d: [%s]: the option "%s" is not known here, and passed over',
                *(section.path, line, section.name, key),
            )
