"""Plain-text tables."""


def table(header, rows, left, total=None):
    """Lines of a table under `header`; the first `left` columns are text, the others numbers.

    `total` is one more row, below a rule.
    """
    every = [header, *rows, *([total] if total else [])]
    widths = [max(len(row[k]) for row in every) for k in range(len(header))]
    rule = "  ".join("-" * width for width in widths)
    lines = [_line(header, widths, left), rule, *(_line(row, widths, left) for row in rows)]
    return [*lines, rule, _line(total, widths, left)] if total else lines


def _line(row, widths, left):
    cells = (
        word.ljust(width) if k < left else word.rjust(width)
        for k, (word, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def file_size(count):
    """A number of bytes for people: "1.5 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.1f} {unit}" if unit != "B" else f"{count} B"
        count /= 1024
