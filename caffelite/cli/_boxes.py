"""caffelite detect PICTURE...: the boxes that a net finds in pictures."""

import contextlib
import os
import sys

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError
from ._nets import use_device
from ._pictures import Drawing, FileNames, box_predictor, tell


def run(args):
    """Tell the boxes in args.pictures; returns the exit code."""
    from tqdm import tqdm

    if args.csv == "-":
        raise UsageError("--csv: expected the name of a file; stdout has the boxes as they are")
    log = start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    use_device(args)
    from ..predict.picture_files import find
    from ..predict.runner import Predictions

    paths = find(args.pictures)
    asked = args.threshold, args.layout
    predictor = box_predictor(args, args.model, args.weights, args.labelmap, log, *asked)
    drawing = Drawing(args.draw, predictor, paths) if args.draw else None
    bar = tqdm(total=len(paths), desc="pictures", leave=False, disable=not on_terminal())
    predictions = Predictions(predictor, paths, args.skip_bad, lambda path: bar.update())
    with bar, _writing(args, paths) as writers:

        def written(found):
            height, width = found.read[2]
            for write in writers:
                write(found.path, (height, width), found.answer.given)
            return {"height": height, "width": width}

        results = tell(args, predictions, drawing, bar, written)
    if args.json:
        print(json_text(results))
    predictions.finish()
    return 0


@contextlib.contextmanager
def _writing(args, paths):
    """What writes the boxes of each picture to files, as flags ask: functions."""
    from ..atomic import written_together
    from ..data.detections import BoxTable

    with contextlib.ExitStack() as stack:
        writers = [_VocFolder(args.voc, paths)] if args.voc else []
        if args.csv:
            passing = stack.enter_context(written_together(args.csv))
            writers.append(stack.enter_context(BoxTable(passing[args.csv])))
        yield writers


class _VocFolder:
    """Writes an XML file for each picture into a folder; none that is there already is lost."""

    def __init__(self, folder, paths):
        self.folder = folder
        names = FileNames(".xml")
        self.names = {p: os.path.join(folder, names.of(p)) for p in dict.fromkeys(paths)}
        there = [name for name in self.names.values() if os.path.lexists(name)]
        if there:
            raise UsageError(f"--voc {folder}: {there[0]} is there already; name another folder")
        os.makedirs(folder, exist_ok=True)

    def __call__(self, path, size, rows):
        from ..atomic import write_atomically
        from ..data.detections import voc_xml

        write_atomically(self.names[path], voc_xml(path, size, rows))
