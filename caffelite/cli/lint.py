"""Find mistakes in nets and solvers: what does not run, and what runs to no good.

    caffelite lint train_val.prototxt solver.prototxt

Each finding is a line "FILE:LINE: layer "NAME": what is wrong [rule]". Only the text is looked at;
a line beginning with "note" tells of each file that is named and not there, of label maps with
other classes than the net's, and of pairs of databases (label_source) that are none, in number,
names, sizes or classes, as far as a few records tell; a last line, that no mistakes were found. The
exit code is 1 if there are findings, but for those that begin with "advice": these are of what runs
as it stands, and may be meant. With --strict they count, too.

What is meant can be said in the file: a comment "# lint: ignore RULE, RULE" holds for its line,
alone on a line for the next one, and at the head of the file for all of it.
"""

from ..errors import did_you_mean, where
from ..json_text import json_text
from ._color import paint
from ._flags import UsageError

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("files", nargs="*", metavar="FILE", help="a net's or a solver's prototxt")
    flag("--strict", action="store_true", help="let advice count for the exit code, too")
    flag("--ignore", default="", metavar="A,B", help="rules to leave out")
    flag("--rules", action="store_true", help="list the rules")
    flag("--json", action="store_true", help="print JSON")


def run(args):
    from ..lint import descriptions, lint_file

    known = descriptions()
    if args.rules:
        _print_rules(known, args.json)
        return 0
    ignored = [name for name in args.ignore.split(",") if name]
    for name in ignored:
        if name not in known:
            raise UsageError(f'--ignore: unknown rule "{name}"{did_you_mean(name, known)}')
    if not args.files:
        raise UsageError("expected FILE ...")
    found = [finding for file in args.files for finding in lint_file(file)]
    found = [finding for finding in found if finding.rule not in ignored]
    if args.json:
        print(json_text([finding._asdict() for finding in found], indent=1))
    else:
        for finding in found:
            place = where(finding.file, finding.line)
            print(paint(place, "bold") + str(finding).removeprefix(place))
        _print_notes(args, found)
    return int(any(args.strict or not finding.advice for finding in found))


def _print_notes(args, found):
    from ..lint.label_maps import label_map_notes
    from ..lint.missing_files import missing_files
    from ..lint.pairs import pair_notes

    if not args.quiet:
        for file in args.files:
            for line in (*missing_files(file), *label_map_notes(file), *pair_notes(file)):
                print(line)
        if not found:
            print(f"{', '.join(args.files)}: no mistakes found")


def _print_rules(known, as_json):
    if as_json:
        print(json_text(known, indent=1))
    else:
        width = max(map(len, known))
        for name, sentence in known.items():
            print(f"{name:<{width}}  {sentence}")
