"""Fields of messages, as people are told of them."""

_KINDS = ("", "double", "float", *["integer"] * 5, "bool", "string", "", "", "bytes", "integer")


def kind(field):
    """Type of a field and its default: "integer [1]", "MAX | AVE [MAX]", "{ ... }"."""
    repeated = ", any number" if is_repeated(field) else ""
    if field.message_type:
        return f"{field.message_type.name} {{ ... }}{repeated}"
    if field.enum_type:
        default = field.enum_type.values_by_number[field.default_value].name if not repeated else ""
        words = " | ".join(value.name for value in field.enum_type.values)
    else:
        words = _KINDS[field.type]
        default = field.default_value if field.has_default_value else ""
    if isinstance(default, (bool, float)):
        default = str(default).lower() if isinstance(default, bool) else f"{default:g}"
    return f"{words}{repeated}{f' [{default}]' if default != '' else ''}"


def is_repeated(field):
    """Whether a field may be given any number of times."""
    if hasattr(type(field), "is_repeated"):
        return field.is_repeated
    return field.label == field.LABEL_REPEATED  # protobuf before version 6
