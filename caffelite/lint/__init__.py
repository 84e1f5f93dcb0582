"""Find mistakes in the text of a net or solver: what does not run, and what runs to no good.

Only the text is looked at, no other file. Text that does not parse gives one finding, where it
stops to make sense. A comment in the text may say of a rule that what it finds is meant.
"""

import inspect
from typing import NamedTuple

from ..errors import did_you_mean, where
from ..proto import caffe_pb2
from ..proto.scan import LineIndex, Mistake
from ..proto.text import likely_class, parse_or_mistake, read_text, with_plain_newlines
from .field_lines import FieldLines
from .meant import Meant

SYNTAX = "syntax"
UNKNOWN = "unknown-rule"


class Finding(NamedTuple):
    """A mistake: its line from 1, the layer's name ("" outside of layers), the rule, the words.

    Or, with `advice`, what runs as it stands, and may be meant.
    """

    line: int
    layer: str
    rule: str
    message: str
    file: str = "<text>"
    advice: bool = False

    def __str__(self):
        layer = f'layer "{self.layer}": ' if self.layer else ""
        kind = "advice: " * self.advice
        return f"{where(self.file, self.line)}: {kind}{layer}{self.message} [{self.rule}]"


def lint_text(text, file="<text>"):
    """All findings in the text of a net or solver, by line; `file` is what they name as theirs."""
    text = with_plain_newlines(text)
    kind = likely_class(text)
    try:
        message = parse_or_mistake(text, kind, file)
    except Mistake as mistake:
        return [Finding(LineIndex(text).line(mistake.offset), "", SYNTAX, mistake.what, file)]
    if not message.ListFields():
        return [Finding(1, "", SYNTAX, "neither a net nor a solver: there is nothing here", file)]
    lines, rules = FieldLines(text), _rules()
    if kind is caffe_pb2.SolverParameter:
        from .solver import lint_solver as lint
    else:
        from .net import lint_net as lint
    findings = {
        Finding(
            lines.line(layer, fields),
            layer.name if layer is not None else "",
            rule.replace("_", "-"),
            words,
            file,
            getattr(rules.get(rule), "advice", False),
        )
        for rule, layer, words, fields in lint(message)
    }
    meant = Meant(text)
    known = descriptions() if meant.named else {}
    findings = {found for found in findings if not meant.covers(found.line, found.rule)}
    for line, rule in meant.named:
        if rule not in known:
            words = f'the comment names "{rule}", which is no rule{did_you_mean(rule, known)}'
            findings.add(Finding(line, "", UNKNOWN, words, file))
    return sorted(findings)


def lint_file(path):
    """All findings in a file; one that cannot be read raises a CaffeliteError."""
    return lint_text(read_text(path, caffe_pb2.NetParameter), str(path))


def descriptions():
    """{name: what it finds} of every rule."""
    told = {
        SYNTAX: "Text that cannot be parsed, or holds nothing.",
        UNKNOWN: 'A comment "lint: ignore" that names a rule that there is not.',
        "old-form": "What Caffe still reads, but is written otherwise today.",
    }
    for name, rule in _rules().items():
        sentence = inspect.getdoc(rule).partition("\n")[0]
        told[name.replace("_", "-")] = "Advice: " * rule.advice + sentence
    return told


def _rules():
    from .rules import NET_RULES, SOLVER_RULES

    return NET_RULES | SOLVER_RULES
