"""The tree: names, import order, a row per layer, a twin per kernel, as architecture.md says."""

import ast
import functools
import inspect
import re
import sys
from pathlib import Path

import pytest

import tests.cases  # noqa: F401  (fills the table)
from caffelite.layers import layer_types
from caffelite.proto import caffe_pb2
from caffelite.proto.old_names import SOLVER_TYPES
from caffelite.solver.policies import POLICIES
from caffelite.solver.rules import RULES
from caffelite.testing import cases

PACKAGE = Path(__file__).parent.parent / "caffelite"
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = {t: c for t, c in layer_types().items() if c.__module__.startswith("caffelite.")}

ORDER = [  # a room imports from its own line and the lines above
    {
        "types",
        "errors",
        "environment",
        "proto",
        "kernels",
        "rng",
        "own_code",
        "registry",
        "atomic",
        "lock",
        "glog",
        "reading",
        "file_kind",
        "kept_bytes",
        "table",
        "json_text",
        "_old_paths",
    },
    {"blob", "filler"},
    {"data"},
    {"layers"},
    {"net", "testing"},
    {"measures"},
    {"pictures", "solver"},
    {"parallel"},
    {"run_log"},
    {"predict", "pycaffe"},
    {"models"},
    {"lint"},
    {"view"},
    {"cli", "__main__"},
]
LATE = {
    ("own_code", "pycaffe"),
    ("layers", "pycaffe"),
    ("net", "pictures"),
    ("net", "pycaffe"),
}  # within functions: what scripts look up there


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text())


@functools.cache
def imports(path, anywhere=True):
    """Names below caffelite that a file imports, or only at its top, as tuples: ("net", "plan")."""
    tree = tree_of(path)
    package = path.relative_to(PACKAGE.parent).parts[:-1]
    return [*imported(package, ast.walk(tree) if anywhere else tree.body)]


def imported(package, nodes):
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                if base[:1] == ("caffelite",):
                    yield (*base, alias.name)[1:]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = tuple(alias.name.split("."))
                if parts[0] == "caffelite" and len(parts) > 1:
                    yield parts[1:]


def rank(part):
    found = [i for i, line in enumerate(ORDER) if part in line]
    assert found, f"caffelite/{part} has no place in the import order yet: give it one"
    return found[0]


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_point_one_way():
    for path in FILES:
        here = part_of(path)
        at_the_top = set(imports(path, anywhere=False))
        for name in imports(path):
            there = name[0]
            if there == "__version__":
                continue
            if here == "kernels":
                known = ("kernels", "environment")
                assert there in known, f"a kernel knows arrays and numbers; {path}"
            elif here != "__init__" and ((here, there) not in LATE or name in at_the_top):
                assert rank(there) <= rank(here), f"{path} imports {there}, which comes later"


def test_no_file_is_a_drawer_for_odds_and_ends():
    drawers = {"util", "utils", "helper", "helpers", "misc", "tools"}
    assert not [path for path in FILES if path.stem.strip("_") in drawers]


def test_no_script_hides_a_module_of_the_standard_library():
    """What Python runs as a script finds the files beside it first, whoever imports such a name."""
    beside = {path.stem for path in (PACKAGE.parent / "tools").iterdir()}
    assert not beside & sys.stdlib_module_names


def test_the_drawing_of_the_rooms_has_them_all_in_order():
    text = (PACKAGE.parent / "docs" / "pages" / "rooms.svg").read_text()
    drawn = [name for name in re.findall(r">(\w+)</text>", text) if name in set().union(*ORDER)]
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} <= {*drawn}
    assert [rank(name) for name in drawn] == sorted(map(rank, drawn), reverse=True)


def test_pictures_come_in_by_one_door():
    """Elsewhere a file could reach any of Pillow's decoders, some of which start programs."""
    texts = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in FILES}
    users = {
        path for path, text in texts.items() if re.search(r"^\s*(from|import) PIL", text, re.M)
    }
    assert users == {"data/picture_file.py", "data/image.py"}
    assert not any(re.search(r"\bImage\.(open|OPEN|init)\b", texts[path]) for path in users)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_lives_in_the_file_of_its_name(name):
    stem = LAYERS[name].__module__.rpartition(".")[2]
    assert stem.replace("_", "") == name.lower()


def test_every_file_of_a_layer_folder_is_a_layer():
    modules = {c.__module__ for c in LAYERS.values()}
    for path in FILES:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] == "layers" and len(parts) == 3 and not path.stem.startswith("_"):
            assert ".".join(("caffelite", *parts)) in modules, f"{path} registers no layer"


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_a_row_in_the_table_of_its_folder(name):
    family = LAYERS[name].__module__.split(".")[2]
    rows = [row for row in cases if row.type == name and row.error is None]
    assert rows, f"no row for {name}; add one to tests/cases/{family}.py"
    assert any(row.place.startswith(f"{family}:") for row in rows), (
        f"the rows of {name} belong into tests/cases/{family}.py, after its folder"
    )


OF_SOLVERS = {f"solver/rules/{name.lower()}.py": rule for name, rule in RULES.items()}
OF_SOLVERS |= {f"solver/policies/{name}.py": policy for name, policy in POLICIES.items()}


@pytest.mark.parametrize("path", OF_SOLVERS)
def test_an_update_rule_or_policy_lives_in_the_file_of_its_name(path):
    thing = OF_SOLVERS[path]
    assert f"caffelite.{path[:-3].replace('/', '.')}" == thing.__module__ and thing.__doc__
    assert set(thing.reads) <= {field.name for field in caffe_pb2.SolverParameter.DESCRIPTOR.fields}


def test_types_of_solvers_and_names_of_policies_stand_in_their_files_alone():
    """Everyone else asks the registry; proto/ has the table of the old solver_type."""
    types = "|".join(RULES)
    named = re.compile(rf"\b({types})Solver\b|[\"']({types}|multistep|plateau)[\"']")
    compared = re.compile(r"lr_policy *([!=]=|(not )?in [(\[{])")
    for path in FILES:
        place = path.relative_to(PACKAGE).as_posix()
        if place not in OF_SOLVERS and place != "proto/old_names.py":
            found = named.search(path.read_text()) or compared.search(path.read_text())
            assert not found, f"{place}: {found[0]}: a fact of the rule or policy, to be asked for"


def test_each_old_solver_type_has_its_rule():
    old = caffe_pb2.SolverParameter.SolverType.keys()
    assert list(SOLVER_TYPES) == old and set(SOLVER_TYPES.values()) <= RULES.keys()


HOMONYMS = {  # what is no type there
    ("pycaffe/net_spec.py", "Parameter"): "the end of the names of messages",
}


def test_what_a_layer_is_stands_in_its_class_alone():
    """No names of layer types elsewhere: who asks what a type is, asks its class for a fact.

    A layer that is put into a net gets its type from the class, too (`Split.type`). The tables of
    old forms in proto/ are older than any class.
    """
    for path in FILES:
        if part_of(path) in ("layers", "models", "proto"):
            continue
        here = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = node.value.split()
                found = [w for w in words if w in LAYERS and (here, w) not in HOMONYMS]
                where = f"{here}:{node.lineno}"
                assert 2 * len(found) <= len(words), f"{where}: {found} are layer types"
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".endswith"):
                about_a_type = "Loss" in ast.unparse(node.args[0])
                assert not about_a_type, f"{here}:{node.lineno}: ask for the role"


FACTS = [
    *("role", "applies", "labels", "compares", "ignored_labels", "pass_size", "learns", "linear"),
    *("pointwise", "windows", "drawn_as", "files", "assigns_diff", "statistics", "no_gradient"),
]


@pytest.mark.parametrize("name", LAYERS)
def test_facts_of_a_layer_are_never_overwritten(name):
    tree = tree_of(Path(inspect.getfile(LAYERS[name])))
    kept = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)
            and isinstance(n.ctx, ast.Store)}  # fmt: skip
    assert not kept & {f"self.{fact}" for fact in FACTS}


@pytest.mark.parametrize("name", LAYERS)
def test_the_facts_of_a_layer_agree(name):
    layer = LAYERS[name]
    text = inspect.getdoc(layer)
    assert layer.role in (
        *("", "source", "dummy", "input", "loss", "measure", "result", "activation", "middle"),
        "sink",
    )
    assert (layer.role == "sink") == (layer.tops == 0)
    assert (layer.role in ("source", "dummy", "input")) <= (layer.bottoms == 0)
    assert layer.applies is None or LAYERS[layer.applies].applies == layer.applies
    assert not layer.compares or layer.role in ("loss", "measure")
    assert (layer.compares == "classes") <= (1 in layer.labels)
    if not isinstance(layer.no_gradient, property):
        assert set(layer.labels) <= set(layer.no_gradient)
    only_statistics = layer.learns is False and layer.statistics
    assert bool(layer.learns or only_statistics) == ("\nBlobs\n" in text)
    if layer.options_field:
        fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name[layer.options_field]
        assert set(layer.files) <= set(fields.message_type.fields_by_name)


def test_each_room_has_a_page_for_newcomers():
    text = (PACKAGE.parent / "docs" / "pages" / "architecture.md").read_text()
    pages = re.findall(r"^### (\w+)\n\n(.*?)\n\n(?=#)", text, re.M | re.S)
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | {"models"}
    assert {name for name, _ in pages} == rooms
    for name, page in pages:
        for word in re.findall(r"`(\w+\.py|\w+/)`", page):
            found = [*PACKAGE.joinpath(name).rglob(word.rstrip("/"))]
            assert found or name == "models", f"architecture.md: {name} has no {word}"


COUNTS = {  # (bottoms, tops), of BVLC Caffe's types but for Python and the recurrent ones
    (0, 1): "Parameter",
    (0, 2): "ImageData MemoryData WindowData",
    (0, (1, 2)): "Data",
    (0, (1, None)): "DummyData HDF5Data Input",
    (1, 1): "AbsVal ArgMax BNLL BatchNorm Clip Dropout ELU Embed Exp Flatten Im2col InnerProduct "
    "LRN Log MVN PReLU Power ReLU Reduction Reshape SPP Sigmoid Softmax Swish TanH Threshold Tile",
    (1, (1, 2)): "Pooling",
    (1, (1, None)): "Slice Split",
    (2, 0): "HDF5Output",
    (2, 1): "BatchReindex Crop EuclideanLoss HingeLoss MultinomialLogisticLoss "
    "SigmoidCrossEntropyLoss",
    (2, (1, 2)): "Accuracy",
    (3, 1): "ContrastiveLoss",
    (3, 2): "LSTMUnit",
    ((1, 2), 1): "Bias Scale",
    # The third of SoftmaxWithLoss, weights of samples, is a fork's.
    ((2, 3), (1, 2)): "InfogainLoss SoftmaxWithLoss",
    ((1, None), 0): "Silence",
    ((1, None), 1): "Concat",
    ((2, None), 1): "Eltwise",
    ((1, None), (1, None)): "Convolution Deconvolution",
    ((2, None), (1, None)): "Filter",
}


def test_layers_take_and_give_as_many_blobs_as_caffes():
    for counts, types in COUNTS.items():
        for type in types.split():
            assert (LAYERS[type].bottoms, LAYERS[type].tops) == counts, type


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_fits_a_line_of_the_catalogue(name):
    first = inspect.getdoc(LAYERS[name]).partition("\n\n")[0]
    assert "\n" not in first and len(first) <= 100


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_says_what_it_computes(name):
    """A formula or sentence first; sections name bottoms, tops and options that exist."""
    layer = LAYERS[name]
    text = inspect.cleandoc(layer.__doc__ or "")
    assert layer.__doc__ and re.match(r"\S", text), f"{name} has no docstring"
    takes_bottoms = layer.bottoms not in (0, (0, 0))
    gives_tops = layer.tops not in (0, (0, 0))
    assert bool(re.search(r"^Bottoms?$", text, re.M)) == takes_bottoms, f"section Bottom of {name}"
    assert bool(re.search(r"^Tops?$", text, re.M)) == gives_tops, f"section Top of {name}"
    for field, body in re.findall(r"^Options \((\w+)\)\n((?:    .*\n?|\n)*)", text, re.M):
        known = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
        assert field in known, f"{name}: {field}"
        fields = known[field].message_type.fields_by_name
        for names in re.findall(r"^    (\w[\w, ]*):", body, re.M):
            for option in re.split(r",\s*", names):
                assert option in fields, f"{name}: {field} has no {option}"


def kernels_used_outside():
    """(module, function) of caffelite/kernels that code outside it calls."""
    used = set()
    for path in FILES:
        if part_of(path) == "kernels":
            continue
        for name in imports(path):
            if name[0] == "kernels" and len(name) == 3:
                used.add(name[1:])
            elif name[0] == "kernels" and len(name) == 2:
                tree = tree_of(path)
                local = {
                    alias.asname or alias.name
                    for node in ast.walk(tree)
                    if isinstance(node, ast.ImportFrom)
                    for alias in node.names
                    if alias.name == name[1]
                }
                used |= {
                    (name[1], node.attr)
                    for node in ast.walk(tree)
                    if isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and node.value.id in local
                }
    return sorted(used)


def functions(path):
    tree = tree_of(path) if path.exists() else ast.Module([], [])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_kernels_have_twins():
    for module, function in kernels_used_outside():
        here = functions(PACKAGE / "kernels" / f"{module}.py")
        if module in ("plan", "tuning"):
            continue  # they say how, and compute nothing
        if not module.startswith("_") and function in here:
            twins = Path(__file__).parent / "reference" / f"{module}.py"
            assert function in functions(twins), f"tests/reference/{module}.py has no {function}"


def test_kernels_in_shares_compute_a_share():
    """One that does not would compute everything on each thread."""
    for path in (PACKAGE / "kernels").glob("*.py"):
        for node in tree_of(path).body:
            marks = map(ast.unparse, getattr(node, "decorator_list", []))
            if any("parallel=True" in mark for mark in marks):
                used = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
                assert node.args.args[-1].arg == "share" in used, f"{path}: {node.name}"


def test_nothing_of_ours_is_called_back_by_machine_code():
    """What a callback of ctypes raises is printed, and the caller goes on without its results."""
    for path in FILES:
        assert not re.search(r"\b(CFUNCTYPE|PYFUNCTYPE|WINFUNCTYPE)\b", path.read_text()), path
