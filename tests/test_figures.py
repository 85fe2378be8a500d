"""How every figure looks and how figures and tables are written."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rasgd.figures import saving, style
from rasgd.methods import METHODS

# Style


def test_every_method_has_a_colour_and_a_marker_of_its_own():
    styles = [style.style(method) for method in METHODS]
    assert len({s.colour for s in styles}) == len({s.marker for s in styles}) == len(METHODS)


def test_a_method_without_a_style_gets_one_that_no_other_has(monkeypatch):
    monkeypatch.setitem(METHODS, "added", METHODS["asgd"])
    assert style.style("added") not in [style.style(method) for method in METHODS if method != "added"]


@pytest.mark.parametrize("method", METHODS)
def test_methods_with_another_objective_are_dashed_and_daggered(method):
    assert (style.line_style(method) == "-") == METHODS[method].right_objective
    assert style.legend_label(method).endswith(style.OTHER_OBJECTIVE) != METHODS[method].right_objective


def test_methods_are_ordered_right_objective_first_whatever_order_they_come_in():
    ordered = style.in_order(reversed(METHODS))
    assert ordered == style.in_order([*METHODS, *METHODS])
    objectives = [METHODS[method].right_objective for method in ordered]
    assert objectives == sorted(objectives, reverse=True) and len(ordered) == len(METHODS)


# Files


def one_figure(stem: Path) -> None:
    with style.settings():
        figure = style.new_figure(1.5)
        axes = figure.add_subplot()
        style.draw_band(axes, "rescaled", [1, 2, 3], [1, 2, np.inf], [2, 3, 4], [3, 4, np.inf])
        style.log_axes(axes)
        axes.set_title("τᵢ ‖∇F‖²")
        saving.save_figure(figure, stem, pd.DataFrame({"x": [1.0]}), "Figure: what.")


def test_the_same_figure_gives_the_same_bytes_without_dates_and_with_embedded_fonts(tmp_path):
    for name in ("first", "second"):
        one_figure(tmp_path / name)
    for ending in ("png", "pdf", "csv", "md"):
        assert (tmp_path / f"first.{ending}").read_bytes() == (tmp_path / f"second.{ending}").read_bytes()
    pdf = (tmp_path / "first.pdf").read_bytes()
    assert b"CreationDate" not in pdf and b"/Type3" not in pdf and b"/FontFile2" in pdf
    width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf).group(1))
    assert width == pytest.approx(72 * style.TEXT_WIDTH_INCHES)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_readers_own_settings_do_not_change_a_figure(tmp_path):
    from matplotlib import rc_context

    one_figure(tmp_path / "plain")
    with rc_context({"font.size": 20, "axes.facecolor": "yellow"}):
        one_figure(tmp_path / "odd")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "odd.png").read_bytes()


def test_numbers_that_differ_in_their_last_bits_are_written_alike(tmp_path):
    table = pd.DataFrame({"name": ["a", "b", "c"], "value": [0.1 + 0.2, -0.0, np.nan], "flag": [True, False, True]})
    saving.save_csv(table, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "name,value,flag\na,0.3,1\nb,0,0\nc,nan,1\n"


def test_tables_have_as_many_cells_in_every_row_as_in_the_header():
    rows = [["|N(0, τ)|", ("½", r"$\frac12$"), "50 %"]]
    text = saving.markdown(["a", "b", "c"], [saving.Group("group", rows), saving.Group("", rows)])
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()] == [4] * 5
    tex = saving.latex(["a", "b", "c"], [saving.Group("group", rows)], "caption with 50 % & τ_A")
    assert tex.isascii() and r"\toprule" in tex and r"50 \% \& $\tau_{\mathrm{A}}$" in tex
    assert [line.count(" & ") for line in tex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line] == [
        2,
        2,
    ]


def test_a_character_without_a_latex_form_is_refused_by_name():
    with pytest.raises(ValueError, match="no LaTeX form is known of ж"):
        saving.text_latex("жx")


@pytest.mark.parametrize("method", METHODS)
def test_every_label_has_a_latex_form(method):
    assert saving.text_latex(style.legend_label(method)).isascii()
