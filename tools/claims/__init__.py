"""What courses claim, as experiments: one is one file of this folder.

An experiment's file has the name that the command calls it by, with underscores for hyphens. It
says:

- its docstring: one line with the claim; below it the papers, what is trained, and what there is to
  know in order to read the figures, which the command puts below that;
- `experiment`: an Experiment: the places in the decks, the runs, what is expected of their figures,
  how many seeds, and what is measured and drawn, where that is not the curves of training.

Nothing else has to be told of it: `python tools/course.py` walks the folder. Files whose names
begin with an underscore are shared.
"""

import importlib
import inspect
import pkgutil


def experiments():
    """{name: Experiment} of all files."""
    files = sorted(module.name for module in pkgutil.iter_modules(__path__))
    names = (name.replace("_", "-") for name in files if not name.startswith("_"))
    return {name: load(name) for name in names}


def load(name):
    """The Experiment of a name, with the claim that its file begins with."""
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    claim, _, told = inspect.getdoc(module).partition("\n")
    module.experiment.claim, module.experiment.told = claim, told.strip()
    return module.experiment
