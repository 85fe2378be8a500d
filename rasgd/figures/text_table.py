"""A small table of numbers drawn inside a figure."""

from __future__ import annotations

from collections.abc import Sequence

from rasgd.figures import style

ROW_INCHES = 0.135


def draw_text_table(
    axes, columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float], bold: Sequence[Sequence[bool]]
) -> None:
    """Writes a table over the whole of the axes, first column to the left, the others to the right.

    Args:
        columns: headings.
        rows: text of the cells.
        widths: of the columns, in any unit.
        bold: which cells are bold.
    """
    axes.set_axis_off()
    axes.set(xlim=(0, sum(widths)), ylim=(len(rows) + 1, 0))
    edges = [sum(widths[: column + 1]) for column in range(len(widths))]
    for number, (cells, heavy) in enumerate(zip([columns, *rows], [[False] * len(columns), *bold], strict=True)):
        for column, (cell, is_heavy) in enumerate(zip(cells, heavy, strict=True)):
            place, side = (0, "left") if column == 0 else (edges[column], "right")
            axes.text(
                place, number + 0.5, cell, ha=side, va="center", fontsize=6.5, weight="bold" if is_heavy else "normal"
            )
    for line in (0, 1, len(rows) + 1):
        axes.axhline(line, color="0.3", linewidth=0.6 if line == 1 else 0.9, clip_on=False)


def short_label(method: str) -> str:
    """The method's display name and mark, short enough for a cell."""
    return style.legend_label(method).replace(" ASGD", "").replace(f" {style.OTHER_OBJECTIVE}", style.OTHER_OBJECTIVE)
