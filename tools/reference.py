"""The reference pages of the site, made from the code: commands, layers, the Python API.

MkDocs runs `on_files` as a hook, so that no page of these is kept, or can be out of date. By hand:

    python tools/reference.py FOLDER
"""

import argparse
import html
import importlib
import inspect
import io
import itertools
import re
import sys
import textwrap
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURES = {  # of the repository, that pages show
    "lenet.svg": "models/lenet/net.svg",
    "view.png": "tools/view/page.png",
    "transforms.png": "models/transforms.png",
}
MODULES = {  # beside the names of the package itself
    "caffelite.io": "Pictures, blobs and Datums as arrays, as pycaffe's `caffe.io`.",
    "caffelite.net_spec": "Nets in Python, as pycaffe's `caffe.net_spec`.",
    "caffelite.draw": "Nets as Graphviz text.",
    "caffelite.coord_map": "Where coordinates of one blob lie in another.",
    "caffelite.model_libs": "Bodies and heads of detectors, as SSD has them.",
    "caffelite.data.annotated": "Pictures with boxes in databases, as SSD has them.",
    "caffelite.data.boxes": "Boxes of a picture, which follow what is done to it.",
    "caffelite.data.label_map": "Label maps: which number each class has.",
    "caffelite.testing": "Checks for layers, ours and yours.",
    "caffelite.layers.base": "What a layer is.",
    "caffelite.lint": "Mistakes in the text of nets and solvers.",
}


def pages():
    """{file name: Markdown}."""
    return {"commands.md": _commands(), "layers.md": _layers(), "api.md": _api()}


def on_files(files, config):
    """MkDocs' hook: put the pages in the place of those that tell of them; add pictures."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.remove(files.get_file_from_path(name))
        files.append(File.generated(config, name, content=text))
    for name, path in PICTURES.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """MkDocs' hook: let pages show pictures by their names on the site, not from the repository."""
    for name, path in PICTURES.items():
        markdown = markdown.replace(f"](../../{path})", f"]({name})")
    return markdown


# Commands


def _commands():
    from caffelite.cli import EXIT_CODES, commands

    lines = ["# Commands", "", _made_by("the commands' own `--help`"), ""]
    lines += ["What all commands share is told in [The command line](command-line.md).", ""]
    lines += ["| command | what it does |", "|---|---|"]
    found = {name: _parser(name) for name in commands()}
    for name, (module, _) in found.items():
        about = inspect.getdoc(module).partition("\n")[0]
        lines.append(f"| [`caffelite {name}`](#{name}) | {_cell(about)} |")
    lines += ["", "```text", EXIT_CODES, "```", ""]
    for name, (module, parser) in found.items():
        lines += [f"## {name}", "", _prose(inspect.getdoc(module)), "", *_flags(parser), ""]
    return "\n".join(lines)


def _parser(name):
    from caffelite.cli import parser_of

    return parser_of(name)


def _flags(parser):
    """The table of what may stand on a command line."""
    yield "| argument | what it is |"
    yield "|---|---|"
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or "--help" in action.option_strings:
            continue
        value = "" if action.nargs == 0 else _value(action)
        names = ", ".join(f"`{name}{value}`" for name in action.option_strings)
        yield f"| {names or f'`{value.strip()}`'} | {_cell(action.help or '')} |"


def _value(action):
    """What follows a flag, or stands in its place: " FILE", " A|B"."""
    if action.metavar:
        metavar = action.metavar
        words = metavar if isinstance(metavar, str) else " ".join(metavar)
    elif action.choices:
        words = "|".join(map(str, action.choices))
    else:
        words = action.dest if not action.option_strings else action.dest.upper()
    return " " + words.replace("|", r"\|")


# Layers


def _layers():
    from caffelite.cli import main
    from caffelite.layers import layer_types

    table = io.StringIO()
    with redirect_stdout(table):
        main(["layers", "--markdown"])
    types = {name: cls for name, cls in layer_types().items() if _is_ours(cls)}
    lines = ["# Layers", "", _made_by("`caffelite layers --markdown` and the layers' docstrings")]
    lines += [
        "",
        "`caffelite layers TYPE` prints all about one, options and defaults included.",
        "",
    ]
    lines += [table.getvalue()]
    for name, layer in types.items():
        lines += [f"## {name}", "", _prose(inspect.getdoc(layer)), ""]
    return "\n".join(lines)


def _is_ours(thing):
    return getattr(thing, "__module__", "").startswith("caffelite")


# Python API


def _api():
    import caffelite

    lines = ["# Python API", "", _made_by("docstrings"), ""]
    lines += ["Names of the package, as in pycaffe: `import caffelite as caffe` will do.", ""]
    for name in caffelite.__all__:
        lines += _entry(f"caffelite.{name}", getattr(caffelite, name), "##")
    for module, about in MODULES.items():
        lines += [f"## {module}", "", about, ""]
        for name, thing in vars(importlib.import_module(module)).items():
            if _is_public(name, thing, module):
                lines += _entry(f"{module}.{name}", thing, "###")
    return "\n".join(lines)


def _is_public(name, thing, module):
    mine = getattr(thing, "__module__", None) == module
    return (
        mine and not name.startswith("_") and (inspect.isclass(thing) or inspect.isroutine(thing))
    )


def _entry(path, thing, heading):
    """A heading, the signature, the docstring; of a class also its public methods."""
    if not callable(thing):
        return [f"{heading} {path}", "", f"`{thing!r}`", ""]
    about = inspect.getdoc(thing) if "__doc__" in vars(type(thing)) or thing.__doc__ else ""
    lines = [f"{heading} {path}", "", f"`{_signature(path, thing)}`", "", _prose(about or ""), ""]
    if not inspect.isclass(thing):
        return lines
    for name, member in vars(thing).items():
        what = getattr(member, "__func__", getattr(member, "fget", member))
        if name.startswith("_") or not (inspect.isfunction(what) and what.__doc__):
            continue
        short = name if isinstance(member, property) else _signature(name, what)
        lines += [f"- `{short}`: {_inline(what.__doc__.strip().partition(chr(10) * 2)[0])}"]
    return [*lines, ""]


def _signature(path, thing):
    name = path.rpartition(".")[2]
    try:
        shown = re.sub(r" at 0x[0-9a-f]+", "", str(inspect.signature(thing)))
    except (TypeError, ValueError):
        return name
    return name + re.sub(r"(: |-> )'([^']*)'", r"\1\2", shown)  # types are written as strings


# Markdown


def _made_by(what):
    return f"This page is made from {what} when the site is built."


def _cell(text):
    return _inline(text).replace("|", r"\|")


def _inline(text):
    """Plain text as one paragraph of Markdown; what is in backticks stays code."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text):
    return re.sub(r"([\\*_\[\]{}])", r"\\\1", html.escape(text, quote=False))


def _prose(text):
    """A docstring as Markdown: paragraphs, numpydoc headings, and indented parts as they are."""
    blocks = re.split(r"\n\s*\n", text.expandtabs())
    return "\n\n".join(filter(None, (_block(block.strip("\n")) for block in blocks)))


def _block(block):
    """A part between blank lines. What stands over dashes, or over indented lines, is a heading."""
    lines = block.split("\n")
    if len(lines) > 1 and re.fullmatch(r"-{3,}", lines[1].strip()):
        return f"**{_inline(lines[0])}**\n\n{_list(lines[2:], ': ')}"
    if all(line.startswith(" ") for line in lines):
        return "\n".join(["```text", textwrap.dedent(block), "```"])
    parts = []
    for deep, run in itertools.groupby(lines, lambda line: line.startswith(" ")):
        run = list(run)
        if deep:
            title = parts.pop()
            parts += [_inline(" ".join(title[:-1])), f"**{_inline(title[-1])}**", _list(run)]
        else:
            parts.append(run)
    parts = [part if isinstance(part, str) else _inline(" ".join(part)) for part in parts]
    return "\n\n".join(filter(None, parts))


def _list(lines, joint=" "):
    """A list of Markdown; an item goes on in lines that are indented further."""
    items = []
    for line in textwrap.dedent("\n".join(lines)).split("\n"):
        if line.startswith(" ") and items:
            items[-1].append(line)
        else:
            items.append([line])
    joined = (joint.join(filter(None, (item[0], " ".join(item[1:])))) for item in items)
    return "\n".join(f"- {_inline(item)}" for item in joined)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)
