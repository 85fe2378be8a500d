import importlib.util
import math
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
_specification = importlib.util.spec_from_file_location("compare", ROOT / "workflow/scripts/compare.py")
comparison = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(comparison)

TABLE = [["method", "time", "loss"], ["Rescaled ASGD", "1.0", "0.5"], ["Vanilla ASGD", "2.0", "0.25"]]
KINDS = {"figure_3": "float64", "figure_1": "float32", "figure_s11": "clock", "table_s3": "clock"}
numbers = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False, min_value=-1e100, max_value=1e100)


def with_cell(row: int, column: int, text: str) -> list[list[str]]:
    table = [list(cells) for cells in TABLE]
    table[row][column] = text
    return table


def the_verdict(committed, reproduced, item="figure_3"):
    files = ({f"{item}_x.csv": table} for table in (committed, reproduced))
    (verdict,) = comparison.compare(*files, kinds=KINDS)
    return verdict


def git(folder: Path, *arguments: str) -> None:
    author = ["-c", "user.name=A", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)


def write(path: Path, text: str, seconds: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if seconds is not None:
        os.utime(path, (seconds, seconds))


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout with two committed products, from before any run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    write(tmp_path / "paper_figures/figure_3_toy.csv", "time,x\n0,1.0\n1,0.5\n", seconds=1000)
    write(tmp_path / "paper_figures/table_s1_times.csv", "method,time\nA,10\n", seconds=1000)
    write(
        tmp_path / "config/products.yaml", "figure_3_toy: {tolerance: float64}\ntable_s1_times: {tolerance: float64}\n"
    )
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "Products")
    return tmp_path


@given(numbers, numbers, st.floats(0, 1e10))
def test_the_difference_of_two_cells_is_symmetric_and_at_most_two(first, second, floor):
    one_way = comparison.cell_difference(repr(first), repr(second), floor)
    assert one_way == comparison.cell_difference(repr(second), repr(first), floor)
    assert 0 <= one_way <= 2  # |a − b| ≤ 2·max(|a|, |b|)
    assert (comparison.cell_difference(repr(first), repr(second), 0.0) == 0) == (first == second)


@given(numbers)
def test_a_number_written_in_two_ways_does_not_differ(number):
    assert comparison.cell_difference(repr(number), f"{number:.17e}", 0.0) == 0


@pytest.mark.parametrize(
    ("committed", "reproduced"),
    [("1.0", ""), ("1.0", "> 10000"), ("A", "B"), ("nan", "1"), ("inf", "1"), ("inf", "-inf")],
)
def test_what_is_no_finite_number_on_both_sides_is_compared_exactly(committed, reproduced):
    assert comparison.cell_difference(committed, reproduced, 1e6) == math.inf
    assert comparison.cell_difference(committed, committed, 0.0) == 0


def test_a_cell_far_below_its_column_is_measured_against_the_column():
    committed, reproduced = ([["x"], ["1000"], [cell]] for cell in ("1e-12", "3e-12"))
    # 2e-12 over 1e-6·1000
    assert comparison.worst_cell("f.csv", committed, reproduced, floor=1e-6).difference == pytest.approx(2e-9)
    assert comparison.worst_cell("f.csv", committed, reproduced, floor=0.0).difference == pytest.approx(2 / 3)


def test_the_worst_cell_is_named_with_its_file_row_column_and_values():
    reproduced = with_cell(2, 2, "0.26")
    reproduced[1][2] = "0.5001"
    worst = comparison.worst_cell("figure_1_x.csv", TABLE, reproduced, floor=0.0)
    assert worst == ("figure_1_x.csv row 2, loss", "0.25", "0.26", pytest.approx(0.01 / 0.26))


@pytest.mark.parametrize(
    ("reproduced", "word"),
    [
        (TABLE, "equal"),
        (with_cell(1, 2, "0.500001"), "last digits"),
        (with_cell(1, 2, "0.51"), "CHANGED"),
        (with_cell(1, 0, "Other"), "CHANGED"),
        (with_cell(0, 2, "error"), "CHANGED"),
        (TABLE[:2], "CHANGED"),
        ([row[:2] for row in TABLE], "CHANGED"),
        ([*TABLE[:2], ["Vanilla ASGD", "2.0"]], "CHANGED"),
        ([], "CHANGED"),
    ],
)
def test_the_verdict_follows_from_values_texts_and_shape(reproduced, word):
    assert the_verdict(TABLE, reproduced).word == word


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("2.00001", ["last digits", "last digits", "clock", "clock"]),  # half a unit of the sixth digit of 1.00000
        ("2.0001", ["CHANGED", "last digits", "clock", "clock"]),
        ("2.01", ["CHANGED", "CHANGED", "clock", "clock"]),
        ("30.0", ["CHANGED", "CHANGED", "clock", "clock"]),
        ("inf", ["CHANGED"] * 4),
        ("late", ["CHANGED"] * 4),
    ],
)
def test_what_a_difference_is_called_depends_on_what_the_numbers_are_computed_with(cell, words):
    assert [the_verdict(TABLE, with_cell(2, 1, cell), item).word for item in KINDS] == words


def test_equal_bytes_are_told_from_rounding_even_on_a_clock():
    assert the_verdict(TABLE, TABLE, "figure_s11").word == the_verdict(TABLE, TABLE, "figure_3").word == "equal"


@pytest.mark.parametrize("item", ["figure_s11", "table_s3"])
def test_products_of_a_clock_still_need_equal_texts(item):
    assert the_verdict(TABLE, with_cell(2, 0, "Other"), item).word == "CHANGED"


def test_every_kind_of_tolerance_in_the_rows_is_known_and_none_is_for_nothing():
    assert set(comparison.tolerances(ROOT / "config/products.yaml").values()) == set(comparison.TOLERANCES)
    schema = (ROOT / "workflow/schemas/products.schema.yaml").read_text()
    assert f"enum: [{', '.join(comparison.TOLERANCES)}]" in schema


def test_all_files_of_a_figure_are_one_item_and_figures_stand_in_order():
    tables = {
        name: TABLE
        for name in (
            "figure_s10_a.csv",
            "figure_s2_a.csv",
            "figure_2_b.csv",
            "figure_2_a.csv",
            "table_1_a.csv",
            "z.csv",
        )
    }
    items = [verdict.item for verdict in comparison.compare(tables, tables, kinds={})]
    assert items == ["figure_2", "figure_s2", "figure_s10", "table_1", "z"]


def test_missing_new_and_additional_files_are_said():
    committed = {"figure_1_a.csv": TABLE, "figure_2_a.csv": TABLE}
    reproduced = {"figure_2_a.csv": TABLE, "figure_2_b.csv": TABLE, "figure_3_a.csv": TABLE}
    words = {verdict.item: verdict.word for verdict in comparison.compare(committed, reproduced, kinds={})}
    assert words == {"figure_1": "missing", "figure_2": "CHANGED", "figure_3": "new"}


def test_the_overwritten_products_are_compared_with_those_of_the_last_commit(checkout, capsys):
    write(checkout / "results/laptop/runs/a.parquet", "", seconds=2000)
    write(checkout / "paper_figures/figure_3_toy.csv", "time,x\n0,1.0\n1,0.500001\n", seconds=3000)
    write(checkout / "paper_figures/table_s1_times.csv", "method,time\nA,10\n", seconds=3000)
    assert comparison.main([]) == 0
    write(checkout / "paper_figures/figure_3_toy.csv", "time,x\n0,1.0\n1,0.6\n", seconds=3000)
    assert comparison.main([]) == 1
    said = capsys.readouterr().out
    assert "figure_3_toy.csv row 2, x: committed 0.5, reproduced 0.6, relative difference 1.7e-01" in said
    assert "2 items: 1 equal, 0 last digits, 1 CHANGED, 0 clock, 0 missing, 0 new, 0 untouched" in said


def test_a_product_that_no_run_wrote_is_not_called_reproduced(checkout, capsys):
    write(checkout / "results/laptop/runs/a.parquet", "", seconds=2000)
    assert comparison.main([]) == 1
    write(checkout / "paper_figures/figure_3_toy.csv", "time,x\n0,1.0\n1,0.5\n", seconds=3000)
    assert comparison.main([]) == 0
    assert "untouched    table_s1" in capsys.readouterr().out


def test_a_deleted_product_is_missing(checkout, capsys):
    write(checkout / "results/laptop/runs/a.parquet", "", seconds=2000)
    write(checkout / "paper_figures/figure_3_toy.csv", "time,x\n0,1.0\n1,0.5\n", seconds=3000)
    (checkout / "paper_figures/table_s1_times.csv").unlink()
    assert comparison.main([]) == 1
    assert "missing      table_s1" in capsys.readouterr().out


def test_before_the_first_run_there_is_nothing_to_compare(checkout, capsys):
    assert comparison.main([]) == 1
    assert "make reproduce" in capsys.readouterr().out


def test_a_checkout_needs_no_copy_of_what_is_committed(checkout):
    assert comparison.main(["--keep"]) == 0
    assert not (checkout / "results").exists()


def test_an_unpacked_archive_keeps_its_products_before_the_first_run(checkout, capsys):
    (checkout / ".git").rename(checkout / "not_git")
    assert comparison.main(["--keep"]) == 0
    write(checkout / "results/laptop/runs/a.parquet", "", seconds=2000)
    write(checkout / "paper_figures/figure_3_toy.csv", "time,x\n0,1.0\n1,0.6\n", seconds=3000)
    assert comparison.main(["--keep"]) == 0  # the second run must not keep what the first one wrote
    assert comparison.main([]) == 1
    assert "committed 0.5, reproduced 0.6" in capsys.readouterr().out


def test_products_that_a_run_may_have_written_are_not_kept_as_committed(checkout, capsys):
    (checkout / ".git").rename(checkout / "not_git")
    write(checkout / "results/laptop/runs/a.parquet", "", seconds=2000)
    comparison.main(["--keep"])
    assert "Warning" in capsys.readouterr().out
    assert comparison.main([]) == 1
    assert "Nothing to compare with" in capsys.readouterr().out


def test_at_smoke_scale_the_committed_numbers_lie_in_a_folder_of_their_own(checkout, capsys):
    assert comparison.main(["--scale", "smoke"]) == 1
    assert "tests/smoke_products/ has no committed CSV file" in capsys.readouterr().out
    write(checkout / "tests/smoke_products/figure_3_toy.csv", "time,x\n0,1.0\n1,0.25\n")
    assert comparison.main(["--scale", "smoke"]) == 1
    assert "`make smoke` comes first" in capsys.readouterr().out
    write(checkout / "results/smoke/paper_figures/figure_3_toy.csv", "time,x\n0,1.0\n1,0.25\n")
    assert comparison.main(["--scale", "smoke"]) == 0
    write(checkout / "results/smoke/paper_figures/figure_3_toy.csv", "time,x\n0,1.0\n1,0.5\n")
    assert comparison.main(["--scale", "smoke"]) == 1
    assert "committed 0.25, reproduced 0.5" in capsys.readouterr().out


def test_verdicts_on_other_seeds_are_not_expected_of_a_reproduction(checkout):
    write(checkout / "paper_figures/claims_stability.csv", "id,verdict\na,holds\n", seconds=1000)
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "Verdicts")
    products = Path("paper_figures")
    assert "claims_stability.csv" not in comparison.read_head(products)
    assert "claims_stability.csv" not in comparison.read_folder(products)
    assert "claims_stability.csv" not in comparison.untouched_files(products, since=2000)
