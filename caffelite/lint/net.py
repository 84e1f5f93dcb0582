"""The rules for nets, and which of the problems that they find count."""

import logging
import threading
from contextlib import contextmanager

from ..errors import CaffeliteError
from ..proto.upgrade import upgrade_net
from . import options, shapes, training, types, wiring
from .old_form import old_forms
from .view import views

# Each takes a View and yields problems: the layer's place in the view, words, and the names of the
# fields that lead to the line that is wrong. A finding names its rule, with dashes.
RULES = [
    *(types.unknown_type, types.bottom_count, types.top_count, wiring.unknown_bottom),
    *(wiring.two_producers, wiring.in_place, wiring.read_and_overwritten, wiring.include_exclude),
    *(wiring.phase_of_layer, wiring.list_length, wiring.same_name, wiring.unused_top),
    *(options.foreign_options, options.ignored_option, options.refused_option),
    *(options.param_on_nothing,),
    *(shapes.shape, shapes.pixels_left_over, shapes.uneven_overlap, shapes.shared_shape),
    *(training.no_loss, training.nothing_learns, training.no_label, training.swapped_bottoms),
    *(training.activation_before_loss, training.one_class, training.zero_weights),
    *(training.linear_pair, training.batch_norm_without_scale, training.scale_without_bias),
    *(training.bias_before_batch_norm, training.batch_statistics_in_test, training.mirror_in_test),
]

# Those that count only where all states that have the layer agree: what one state of the net has
# no use for, another may.
IN_EVERY_STATE = {wiring.unused_top}


def lint_net(net):
    """(rule, layer or None, words, fields) of each problem; the net is upgraded on the way."""
    for problem in old_forms(net):
        yield "old_form", *problem
    with _silence():
        try:
            upgrade_net(net)
        except CaffeliteError as problem:
            yield "old_form", None, problem.without_line, ()
            return
        states = views(net)
        for rule in RULES:
            for place, text, fields in _merged(rule, states):
                yield rule.__name__, None if place is None else net.layer[place], text, fields


def _merged(rule, states):
    """A rule's problems in all states; each says in which, where others have the layer, too."""
    found = {}
    for view in states:
        for i, text, *fields in rule(view):
            place = None if i is None else view.indices[i]
            found.setdefault((place, text, tuple(fields)), []).append(view)
    for (place, text, fields), where in found.items():
        having = [view for view in states if place is None or place in view.places]
        if len(where) == len(having):
            yield place, text, fields
        elif rule not in IN_EVERY_STATE:
            yield place, f"{text} ({_what_unites(where)})", fields


def _what_unites(states):
    """'in phase TEST', 'with stage "deploy"' or both, as far as all of these states agree."""
    first, words = states[0], []
    if all(view.phase == first.phase for view in states):
        words.append(f"in phase {first.phase}")
    if first.state.stage and all(view.state.stage == first.state.stage for view in states):
        words.append("with stage " + " and ".join(f'"{stage}"' for stage in first.state.stage))
    return " ".join(words) or "in some states"


@contextmanager
def _silence():
    """Keep what this thread does out of the log: what matters is among the findings."""
    log = logging.getLogger("caffelite")
    thread = threading.get_ident()
    log.addFilter(drop := lambda record: record.thread != thread)
    try:
        yield
    finally:
        log.removeFilter(drop)
