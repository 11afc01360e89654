"""Tables of plain text."""

from collections.abc import Sequence

GAP = "  "


def render(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length as aligned lines: the first column to the left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(GAP.join(cells).rstrip())
    return "\n".join(lines)
