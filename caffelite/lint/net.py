"""Run the rules for nets in each state of a net, and tell which of their problems count."""

import logging
import threading
from contextlib import contextmanager

from ..errors import CaffeliteError
from ..proto.upgrade import upgrade_net
from .filtered_net import filtered_nets
from .old_form import old_forms
from .rules import NET_RULES


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
        states = filtered_nets(net)
        for name, rule in NET_RULES.items():
            for place, text, fields in _merged(rule, states):
                yield name, None if place is None else net.layer[place], text, fields


def _merged(rule, states):
    """A rule's problems in all states; each says in which, where others have the layer, too."""
    found = {}
    for net in states:
        for i, text, *fields in rule(net):
            place = None if i is None else net.indices[i]
            found.setdefault((place, text, tuple(fields)), []).append(net)
    for (place, text, fields), where in found.items():
        having = [net for net in states if place is None or place in net.places]
        if len(where) == len(having):
            yield place, text, fields
        elif not rule.in_every_state:
            yield place, f"{text} ({_what_unites(where)})", fields


def _what_unites(states):
    """'in phase TEST', 'with stage "deploy"' or both, as far as all of these states agree."""
    first, words = states[0], []
    if all(net.phase == first.phase for net in states):
        words.append(f"in phase {first.phase}")
    if first.state.stage and all(net.state.stage == first.state.stage for net in states):
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
