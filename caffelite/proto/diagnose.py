"""Why the parser refused a prototxt, in words that help: what was expected, what came."""

import re

from google.protobuf.descriptor import FieldDescriptor as Field

from ..errors import did_you_mean, short
from . import forks
from .old_names import V1_TYPES
from .scan import TOKEN, Mistake

_RANGES = {
    Field.TYPE_INT32: (-(2**31), 2**31 - 1),
    Field.TYPE_INT64: (-(2**63), 2**63 - 1),
    **dict.fromkeys((Field.TYPE_UINT32, Field.TYPE_FIXED32), (0, 2**32 - 1)),
    **dict.fromkeys((Field.TYPE_UINT64, Field.TYPE_FIXED64), (0, 2**64 - 1)),
}
_PASS_OVER = "--allow-unknown passes over it"
_KINDS = {
    Field.TYPE_FLOAT: "a number",
    Field.TYPE_DOUBLE: "a number",
    Field.TYPE_BOOL: "true or false",
    Field.TYPE_STRING: "a string in quotes",
    Field.TYPE_BYTES: "a string in quotes",
    Field.TYPE_MESSAGE: "{ ... }",
}


class Context:
    """Where an offset lies: the messages that are open there, and the field being read.

    The text before the offset must be well-formed, as it is when the parser stopped there.
    """

    def __init__(self, text, offset, message_class):
        self.open = [Level("", message_class.DESCRIPTOR)]
        self.name = ""  # the field that waits for its value
        for token in TOKEN.finditer(text, 0, offset):
            self._step(token.group(), token.start())

    def _step(self, found, at):
        level = self.open[-1]
        if found in ("{", "<"):
            field = level.field(level.list_of or self.name)
            inner = field.message_type if field else None
            self.open.append(Level(level.list_of or self.name, inner))
            self.name = ""
        elif found in ("}", ">"):
            self.open.pop()
            self.name = ""
        elif found == "[":
            level.list_of = self.name
        elif found == "]":
            level.list_of = self.name = ""
        elif found[0] == "#" or level.list_of:
            pass
        elif self.name:
            self.name = ""  # that was its value
        elif found[0] not in "\"'":
            self.name = found
            level.seen.setdefault(found, []).append(at)

    @property
    def inside(self):
        """' in "convolution_param"' or ''."""
        name = self.open[-1].name
        return f' in "{name}"' if name else ""


class Level:
    """A message that is open: its field's name, its descriptor, the fields seen in it."""

    def __init__(self, name, descriptor):
        self.name, self.descriptor = name, descriptor
        self.seen = {}
        self.list_of = ""

    def field(self, name):
        return self.descriptor and self.descriptor.fields_by_name.get(name)


def diagnose(error, text, offset, message_class):
    """The Mistake behind the parser's error at `offset`."""
    reason = _reason(error, text, offset)
    context = Context(text, offset, message_class)
    unknown = re.match(r'Message type "[^"]*" has no field named "([^"]*)"', reason)
    if unknown and not unknown[1].isdigit():
        return Mistake(offset, _unknown_field(unknown[1], context))
    twice = re.match(r'Message type "[^"]*" should not have multiple "([^"]*)" fields', reason)
    if twice:
        return _given_twice(twice[1], text, context)
    found = _token_at(text, offset)
    level = context.open[-1]
    field = level.field(level.list_of or context.name)
    if field is None or unknown:
        return Mistake(offset, f"expected the name of a field{context.inside}, not {found}")
    return Mistake(offset, _wrong_value(field, found, reason))


def _reason(error, text, offset):
    """The parser's words without what it puts before: the place, and maybe the whole line."""
    start = text.rfind("\n", 0, offset) + 1
    line = text[start:].partition("\n")[0]
    return str(error).partition(" : ")[2].removeprefix(f"'{line}': ").removeprefix("'': ")


def _unknown_field(name, context):
    level = context.open[-1]
    hint = did_you_mean(name, [field.name for field in level.descriptor.fields])
    homes = [
        field.name
        for field in level.descriptor.fields
        if field.message_type and name in field.message_type.fields_by_name
    ]
    if homes:
        hint = f"; it belongs inside {_either(homes)}"
    elif len(context.open) > 1 and context.open[-2].field(name):
        hint = f'; it belongs after the closing brace of "{level.name}"'
    elif field := forks.FIELDS.get(f"{level.descriptor.name}.{name}"):
        fork, instead = field
        hint = f"; it is a word of {fork} that is not done here: {instead}; {_PASS_OVER}"
    elif name == "item" and len(context.open) == 1:
        hint = "; this may be a label map, as data layers and caffelite detect --labelmap read it"
    elif fork := forks.MESSAGES.get(name):
        hint = f"; it is a word of {fork} that is not done here, and {_PASS_OVER}"
    elif not hint:
        hint = f"; nobody here knows it, and {_PASS_OVER}"
    return f'unknown field "{short(name)}"{context.inside}{hint}'


def _either(names):
    return " or ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} or another option"


def _given_twice(name, text, context):
    offsets = context.open[-1].seen[name]
    line = text.count("\n", 0, offsets[0]) + 1
    return Mistake(offsets[-1], f'"{name}" is given twice{context.inside}, first on line {line}')


def _wrong_value(field, found, reason):
    takes = f'"{field.name}" takes {_kind(field)}, not {found}'
    if reason.startswith('Expected ":"') and found != "{":
        return f'expected ":" after "{field.name}", not {found}'
    if reason.startswith('Expected ","'):
        return f'expected "," or "]" in the list of "{field.name}", not {found}'
    if found == "[":
        return f'"{field.name}" takes one value, not a list'
    if _kind(field) == "a string in quotes" and found[0] in "\"'":
        return f'an escape in the string of "{field.name}" cannot be read: {found}'
    if reason.startswith("Value out of range"):
        low, high = _RANGES[field.type]
        return f'"{field.name}" takes a whole number from {low} to {high}, not {found}'
    if field.enum_type and field.enum_type.name == "LayerType":
        return _old_type(found)
    if field.enum_type:
        names = _values(field)
        word = found.strip("\"'")
        quoted = word != found and word in names
        return takes + ("; leave out the quotes" if quoted else did_you_mean(word, names))
    if field.type in _RANGES and (hint := _as_template(found)):
        return takes + hint
    if _kind(field) == "a string in quotes" and re.fullmatch(r"[\w.+-]+", found):
        return f'{takes}; write "{found}"'
    return takes


def _old_type(found):
    """What to say of a type that `layers` lacks: its name there, or how a newer one is written."""
    word = found.strip("\"'")
    takes = f'"type" of layers, the old form, has no {short(found)}'
    if word in V1_TYPES:
        return f"{takes}; leave out the quotes"
    for old, today in V1_TYPES.items():
        if word.lower() == today.lower():
            return f'{takes}; write {old} there, or layer {{ type: "{today}" }} everywhere'
    if fork := forks.OLD_TYPES.get(word.upper(), ""):
        hint = f", which is a type of {fork}; newer"
    else:
        near = did_you_mean(word, V1_TYPES)
        hint = f"{near} Newer" if near else "; newer"
    return (
        f'{takes}{hint} types are written layer {{ type: "..." }}: take it out, let caffelite '
        "upgrade write the others so, and put it back"
    )


def _as_template(found):
    """What to say of a word, or a sign that opens a place, where a number is due; or ""."""
    if found in forks.TEMPLATES:
        owner, how = forks.TEMPLATES[found]
        return f"; the file is a template of {owner}: {how}"
    if re.fullmatch(r"[$@%{].*|[A-Za-z_]\w*", found):
        return "; if the file is a template, fill in its places first, as with sed"
    return ""


def _kind(field):
    if field.enum_type:
        return "one of " + ", ".join(_values(field))
    if field.type in _RANGES:
        return "a whole number" + ("" if _RANGES[field.type][0] else ", 0 or more")
    return _KINDS[field.type]


def _values(field):
    return [value.name for value in field.enum_type.values]


def _token_at(text, offset):
    """The word, string or sign at an offset, shortened, or "the end of the file"."""
    found = re.compile(r"\"[^\"\n]*\"?|'[^'\n]*'?|[\w.+-]+|\S").search(text, offset)
    if not found:
        return "the end of the file"
    return short(found[0])
