"""Plain-text tables."""

from collections.abc import Iterable, Sequence


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: int,
    total: Sequence[str] | None = None,
) -> list[str]:
    """Lines of a table under `header`; the first `left` columns are text, the others numbers.

    `total` is one more row, below a rule.
    """
    every = [header, *rows, *([total] if total else [])]
    widths = [max(len(row[k]) for row in every) for k in range(len(header))]
    rule = "  ".join("-" * width for width in widths)
    lines = [_line(header, widths, left), rule, *(_line(row, widths, left) for row in rows)]
    return [*lines, rule, _line(total, widths, left)] if total else lines


def _line(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = (
        word.ljust(width) if k < left else word.rjust(width)
        for k, (word, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def file_size(count: float) -> str:
    """A number of bytes for people: "1.5 MiB"."""
    if count < 1024:
        return f"{count} B"
    for unit in ("KiB", "MiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} GiB"
