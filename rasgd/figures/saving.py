"""Figures and tables on disk: the same content gives the same bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rasgd.files import replacing

if TYPE_CHECKING:
    import pandas as pd

SIGNIFICANT_DIGITS = 6  # of the numbers in CSV files: the last bits of a computation differ between machines
RESOLUTION = 200  # dots per inch of the PNG

Cell = str | tuple[str, str]  # text for both formats, or (Markdown, LaTeX)

NO_VALUE = "—"  # in a cell that has no value

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "$": r"\$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", "–": "--",
    "…": r"\ldots{}", "†": r"$^\dagger$", "‡": r"$^\ddagger$", "²": "$^2$", "⁰": "$^0$", "ᵢ": "$_i$", "₁": "$_1$",
    "₂": "$_2$", "τ": r"$\tau$", "σ": r"$\sigma$", "ζ": r"$\zeta$", "γ": r"$\gamma$", "β": r"$\beta$", "α": r"$\alpha$",
    "λ": r"$\lambda$", "δ": r"$\delta$", "∈": r"$\in$", "′": "$'$", "✗": r"$\times$", "á": r"\'a",
    "ε": r"$\varepsilon$", "π": r"$\pi$", "Δ": r"$\Delta$", "∇": r"$\nabla$", "Σ": r"$\sum$", "‖": r"$\|$",
    "−": "$-$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\le$", "≥": r"$\ge$", "∞": r"$\infty$", "½": r"$\frac12$",
    "→": r"$\to$", "≠": r"$\ne$", "—": "---", "’": "'", "±": r"$\pm$", "○": r"$\circ$",
    "✓": r"\checkmark", "∝": r"$\propto$", "ρ": r"$\rho$", "⁻": "$^-$", "\u0302": r"\^{}",
}  # fmt: skip


class Group(NamedTuple):
    """Rows of a table under a heading of their own; no heading where it is empty."""

    heading: str
    rows: list[list[Cell]]


def save_figure(
    figure,
    stem: str | Path,
    drawn: pd.DataFrame,
    caption: str,
    table: tuple[Sequence[Cell], Sequence[Group]] | None = None,
) -> None:
    """Writes a figure as .png and .pdf, what it draws as .csv and its caption as .md.

    Args:
        figure: a matplotlib figure, made and saved within `style.settings`.
        stem: path without an ending.
        drawn: the numbers of the figure.
        caption: plain text.
        table: header and groups of rows that stand under the caption; None for none.
    """
    # Neither file may hold the date, nor the PNG the version of matplotlib.
    for ending, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        with replacing(f"{stem}{ending}") as temporary:
            figure.savefig(temporary, dpi=RESOLUTION, metadata=metadata)
    save_csv(drawn, f"{stem}.csv")
    save_text(f"{stem}.md", f"{caption}\n" + (f"\n{markdown(*table)}" if table else ""))


def save_table(stem: str | Path, header: Sequence[Cell], groups: Sequence[Group], numbers: pd.DataFrame, caption: str):
    """Writes a table as .md with its caption on top, as .tex for booktabs, and its numbers as .csv."""
    save_text(f"{stem}.md", f"{caption}\n\n{markdown(header, groups)}")
    save_text(f"{stem}.tex", latex(header, groups, caption))
    save_csv(numbers, f"{stem}.csv")


def save_text(path: str | Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def save_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Writes a table with numbers rounded to six significant digits, truth as 0 or 1, and nan for nothing."""
    table = table.copy()
    for name, column in table.items():
        if column.dtype == bool:
            table[name] = column.astype(int)
        elif column.dtype.kind == "f":
            table[name] = column + 0.0  # no negative zeros
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{SIGNIFICANT_DIGITS}g", na_rep="nan", lineterminator="\n")


def markdown(header: Sequence[Cell], groups: Sequence[Group]) -> str:
    """A Markdown table; a group's heading is a row in bold."""

    def line(cells):
        return "| " + " | ".join(cells) + " |\n"

    def text(cell):
        return (cell if isinstance(cell, str) else cell[0]).replace("|", "\\|")

    lines = [line(map(text, header)), line("---" for _ in header)]
    for group in groups:
        if group.heading:
            lines.append(line([f"**{text(group.heading)}**", *[""] * (len(header) - 1)]))
        lines += [line(map(text, row)) for row in group.rows]
    return "".join(lines)


def latex(header: Sequence[Cell], groups: Sequence[Group], caption: str) -> str:
    """A table environment for the package booktabs; a group's heading spans all columns."""

    def line(cells):
        return " & ".join(cell_latex(cell) for cell in cells) + r" \\"

    body = []
    for group in groups:
        body.append(r"\midrule")
        if group.heading:
            body.append(rf"\multicolumn{{{len(header)}}}{{l}}{{\textit{{{text_latex(group.heading)}}}}} \\")
        body += [line(row) for row in group.rows]
    columns = "l" + "r" * (len(header) - 1)
    lines = [
        r"% needs \usepackage{booktabs,amssymb}",
        r"\begin{table}",
        r"\centering\scriptsize",
        rf"\caption{{{text_latex(caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        line(header),
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def restructured(text: str) -> str:
    """Plain text as reStructuredText, in a template of Jinja as Snakemake's report wants it."""
    return "".join(f"\\{character}" if character in "\\|*`_{}" else character for character in text)


def number_cell(value: float) -> str:
    """The number to three decimals, a dash for nan."""
    return NO_VALUE if math.isnan(value) else f"{value:.3f}"


def cell_latex(cell: Cell) -> str:
    return text_latex(cell) if isinstance(cell, str) else cell[1]


def text_latex(text: str) -> str:
    """Plain text as LaTeX: what is special there is escaped, Greek letters and signs become mathematics.

    Raises:
        ValueError: for a character that has no LaTeX form here.
    """
    parts = re.split(r"τ_(A|H|max)", text)  # plain text and the names of compute times in turn
    parts[0::2] = ["".join(map(sign_latex, re.findall(".\u0303?", part, re.S))) for part in parts[0::2]]
    parts[1::2] = [rf"$\tau_{{\mathrm{{{name}}}}}$" for name in parts[1::2]]
    result = "".join(parts)
    if not result.isascii():
        unknown = sorted({character for character in result if not character.isascii()})
        raise ValueError(f"no LaTeX form is known of {', '.join(unknown)} in {text!r}")
    return result


def sign_latex(sign: str) -> str:
    """A character as LaTeX, or a letter with a combining tilde behind it."""
    return rf"$\tilde {sign[0]}$" if len(sign) == 2 else LATEX.get(sign, sign)
