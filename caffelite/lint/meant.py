"""Comments that say of a finding that it is meant.

    # lint: ignore linear-pair, unused-top

In the comment at the head of a file it holds for the whole file; elsewhere for its own line, and,
where it is alone on its line, for the next one.
"""

import re

COMMENT = re.compile(r"#\s*lint:\s*ignore\s+([\w-]+(?:\s*,\s*[\w-]+)*)")


class Meant:
    """Which rules the comments in a text name, and where."""

    def __init__(self, text):
        self.everywhere, self.lines, self.named = set(), {}, []
        at_the_head = True
        for number, line in enumerate(text.split("\n"), 1):
            alone = line.lstrip().startswith("#")
            at_the_head &= alone or not line.strip()
            for found in COMMENT.finditer(line):
                self._add(re.split(r"\s*,\s*", found[1]), number, alone, at_the_head)

    def _add(self, rules, number, alone, at_the_head):
        self.named += [(number, rule) for rule in rules]
        if at_the_head:
            self.everywhere.update(rules)
        for line in (number, number + 1) if alone else (number,):
            self.lines.setdefault(line, set()).update(rules)

    def covers(self, line, rule):
        return rule in self.everywhere or rule in self.lines.get(line, ())
