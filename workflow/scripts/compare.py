"""Compare the reproduced figures and tables with the committed ones, cell by cell.

The committed ones are read from git's HEAD, so they can be compared at any time, whatever a run has overwritten since.
Where the project is no git checkout (an unpacked archive), `--keep` copies them aside before the first run. At smoke
scale the committed numbers lie in a folder of their own, which no run writes to.
"""

import argparse
import csv
import io
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from rasgd.experiments.settings import read_yaml
from rasgd.figures.saving import SIGNIFICANT_DIGITS

Tables = dict[str, list[list[str]]]  # file name -> rows of cells, the header first


class Tolerance(NamedTuple):
    """How far a cell may differ through rounding alone.

    A cell far below the largest of its column is what rounding left of a difference, where a relative difference says
    nothing: below `floor` times that largest magnitude, differences are measured against that product instead.
    """

    relative: float
    floor: float


# Numbers are printed with six digits, so one unit of the last one is up to 1e-5 of them: no smaller difference shows.
LAST_DIGIT = 10.0 ** (1 - SIGNIFICANT_DIGITS)
TOLERANCES = {
    # u = 1.1e-16; a number takes up to 1e6 operations, whose errors no contraction enlarges: 1e-10 of the column at
    # most, which shows where it crosses the border between two printed numbers, and in what is 0 but for rounding.
    "float64": Tolerance(relative=LAST_DIGIT, floor=1e-10 / LAST_DIGIT),
    # u = 6e-8. A last bit changed in every coordinate of x⁰ moved the loss of a 784-32-10 network (10 workers, batch 4)
    # by 3e-7 of it at most in 1,800 updates with γ = .02, and in 8,800 with γ = .05 by 2e-5 on one seed: a thousand u
    # are allowed. On another seed of the latter it grew to a fifth, which nothing tells from a change of the code: near
    # the step at which training becomes unstable only the same CPU gives the same numbers.
    "float32": Tolerance(relative=1e3 * 6e-8 + LAST_DIGIT, floor=1e-2),
    # The machine and its load decide the order of arrivals and every number of seconds: such products repeat
    # statistically only. Their shape and their texts must be the same, no number is held against another.
    "clock": Tolerance(relative=math.inf, floor=1.0),
}
DEFAULT_TOLERANCE = "float32"  # of the ledger, which rests on all products
PRODUCTS = Path("config/products.yaml")
# Scale → where runs write their products, and where the committed ones lie.
PLACES = {
    "smoke": (Path("results/smoke/paper_figures"), Path("tests/smoke_products")),
    "laptop": (Path("paper_figures"), Path("paper_figures")),
    "paper": (Path("paper_figures/published"), Path("paper_figures/published")),
}
NOT_REPRODUCED = {"claims_stability.csv"}  # an hour's work of its own, `make stability`


WORDS = ("equal", "last digits", "CHANGED", "clock", "missing", "new", "untouched")


class Cell(NamedTuple):
    """A cell and by how much it differs (infinite: text that differs, or a shape that does)."""

    place: str
    committed: str
    reproduced: str
    difference: float


class Verdict(NamedTuple):
    """What comparing one item came to.

    `word` is equal, last digits (another CPU rounds them otherwise), CHANGED, clock (repeats statistically only),
    missing, new or untouched.
    """

    word: str
    item: str
    details: str


def item_of(file_name: str) -> str:
    """The figure or table a file belongs to: `figure_s6` for figure_s6_quadratic.csv, else the file's stem."""
    match = re.match(r"(figure|table)_s?\d+(?=[_.])", file_name)
    return match.group() if match else Path(file_name).stem.removesuffix("_by_seed")


def tolerances(path: Path = PRODUCTS) -> dict[str, str]:
    """What the numbers of every item are computed with, from the rows of products."""
    return {item_of(f"{name}.csv"): row["tolerance"] for name, row in read_yaml(path).items()}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def cell_difference(committed: str, reproduced: str, floor: float) -> float:
    """The difference of two cells over the larger of both magnitudes and `floor`; infinite where text differs."""
    if committed == reproduced:
        return 0.0
    first, second = _number(committed), _number(reproduced)
    if first is None or second is None:
        return math.inf
    if first == second or (math.isnan(first) and math.isnan(second)):
        return 0.0
    if not (math.isfinite(first) and math.isfinite(second)):
        return math.inf
    return abs(first - second) / max(abs(first), abs(second), floor)


def _largest_magnitude(cells: Iterable[str]) -> float:
    numbers = (_number(cell) for cell in cells)
    return max((abs(number) for number in numbers if number is not None and math.isfinite(number)), default=0.0)


def worst_cell(file_name: str, committed: list[list[str]], reproduced: list[list[str]], floor: float) -> Cell:
    """The cell that differs most between two tables with a header; rows are counted from 1 below it."""
    header = committed[0] if committed else []
    if (reproduced[0] if reproduced else []) != header:
        return Cell(f"{file_name} header", ",".join(header), ",".join(reproduced[0] if reproduced else []), math.inf)
    if len(committed) != len(reproduced):
        return Cell(f"{file_name} number of rows", str(len(committed) - 1), str(len(reproduced) - 1), math.inf)
    worst = Cell(file_name, "", "", 0.0)
    columns = (zip_longest(*table[1:], fillvalue="") for table in (committed, reproduced))
    for name, before, after in zip(header, *columns, strict=False):
        column_floor = floor * _largest_magnitude(before)
        for row, (first, second) in enumerate(zip(before, after, strict=True), start=1):
            difference = cell_difference(first, second, column_floor)
            if difference > worst.difference:
                worst = Cell(f"{file_name} row {row}, {name}", first, second, difference)
    return worst


def compare_item(item: str, committed: Tables, reproduced: Tables, kind: str) -> Verdict:
    """The verdict on one item from its committed and its reproduced files.

    Args:
        item: such as figure_s6.
        committed, reproduced: its CSV files.
        kind: key of `TOLERANCES`.
    """
    if not committed:
        return Verdict("new", item, "reproduced, and nothing committed stands against it")
    if missing := sorted(committed.keys() - reproduced.keys()):
        return Verdict("missing", item, f"committed and not reproduced: {', '.join(missing)}")
    if extra := sorted(reproduced.keys() - committed.keys()):
        return Verdict("CHANGED", item, f"reproduced and not committed: {', '.join(extra)}")
    tolerance = TOLERANCES[kind]
    worst = max(
        (worst_cell(name, committed[name], reproduced[name], tolerance.floor) for name in sorted(committed)),
        key=lambda cell: cell.difference,
    )
    num_cells = sum(len(row) for table in committed.values() for row in table[1:])
    if worst.difference == 0:
        return Verdict("equal", item, f"{num_cells} cells")
    where = (
        f"{num_cells} cells, worst: {worst.place}: committed {worst.committed}, reproduced {worst.reproduced}, "
        f"relative difference {worst.difference:.1e}"
    )
    if math.isinf(worst.difference):  # a text, a shape, or a number that is no longer finite
        return Verdict("CHANGED", item, where)
    if kind == "clock":
        return Verdict("clock", item, f"measured on a clock, repeats statistically only; {where}")
    word = "last digits" if worst.difference <= tolerance.relative else "CHANGED"
    return Verdict(word, item, f"{where}, rounding allows {tolerance.relative:.1e} ({kind})")


def compare(
    committed: Tables, reproduced: Tables, untouched: set[str] = frozenset(), kinds: dict[str, str] | None = None
) -> list[Verdict]:
    """One verdict per item that is in either.

    Args:
        committed, reproduced: CSV files.
        untouched: names of files that no run has written.
        kinds: key of `TOLERANCES` by item, from config/products.yaml unless given.
    """
    kinds = tolerances() if kinds is None else kinds
    verdicts = []
    for item in sorted({item_of(name) for name in committed | reproduced}, key=_reading_order):
        before, after = (
            {name: table for name, table in tables.items() if item_of(name) == item}
            for tables in (committed, reproduced)
        )
        if after and untouched.issuperset(after):
            verdicts.append(Verdict("untouched", item, "not reproduced here"))
        else:
            verdicts.append(compare_item(item, before, after, kinds.get(item, DEFAULT_TOLERANCE)))
    return verdicts


def _reading_order(item: str) -> tuple:
    """Figures before tables, the paper's before supplements, each by number."""
    match = re.fullmatch(r"(figure|table)_(s?)(\d+)", item)
    return (match[1], match[2], int(match[3])) if match else (item, "", 0)


def _files(path_to_products: Path) -> list[Path]:
    return [path for path in sorted(path_to_products.glob("*.csv")) if path.name not in NOT_REPRODUCED]


def _rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def read_folder(path_to_products: Path) -> Tables:
    """The CSV files that lie directly in a folder; empty where there is no such folder."""
    return {path.name: _rows(path.read_text(encoding="utf-8")) for path in _files(path_to_products)}


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(["git", *arguments], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.decode()


def read_head(path_to_products: Path) -> Tables:
    """The CSV files of a folder as git's HEAD has them; empty where this is no git checkout or HEAD has none."""
    listed = _git("ls-tree", "-z", "--name-only", "HEAD", f"{path_to_products.as_posix()}/") or ""
    paths = [Path(name) for name in listed.split("\0") if name.endswith(".csv")]
    paths = [path for path in paths if path.name not in NOT_REPRODUCED]
    return {path.name: _rows(_git("show", f"HEAD:./{path.as_posix()}") or "") for path in paths}


def keep_committed(path_to_products: Path, path_to_results: Path, path_to_kept: Path) -> str | None:
    """Copy the committed CSV files to `path_to_kept`, once and before the first run.

    Does nothing in a git checkout, which holds them anyway. Returns a warning where runs have left files already.
    """
    if read_head(path_to_products) or path_to_kept.exists() or not read_folder(path_to_products):
        return None
    if first_written(path_to_results) is not None:
        return f"{path_to_products}/ may hold reproduced files already: it was not kept for `make compare`"
    unfinished = path_to_kept.with_name(path_to_kept.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for path in path_to_products.glob("*.csv"):
        shutil.copy2(path, unfinished)
    os.replace(unfinished, path_to_kept)
    return None


def first_written(path_to_results: Path) -> float | None:
    """When the oldest file in a folder was written (seconds since the epoch); None where there is none."""
    return min((path.stat().st_mtime for path in path_to_results.rglob("*") if path.is_file()), default=None)


def untouched_files(path_to_products: Path, since: float) -> set[str]:
    """The names of the CSV files that were last written before `since` (seconds since the epoch)."""
    return {path.name for path in _files(path_to_products) if path.stat().st_mtime < since}


def report(verdicts: list[Verdict]) -> str:
    """One line per verdict, and one that counts them."""
    width = max(len(verdict.item) for verdict in verdicts)
    lines = [f"{verdict.word:<11}  {verdict.item:<{width}}  {verdict.details}" for verdict in verdicts]
    words = [verdict.word for verdict in verdicts]
    counts = [f"{words.count(word)} {word}" for word in WORDS]
    return "\n".join([*lines, f"{len(verdicts)} items: {', '.join(counts)}"])


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 where nothing has changed but by rounding, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=PLACES, default="laptop")
    parser.add_argument("--keep", action="store_true", help="only keep what is committed, where git does not")
    options = parser.parse_args(arguments)
    products, committed_in = PLACES[options.scale]
    results, kept = Path("results", options.scale), Path("results/committed_figures", options.scale)

    if options.keep:
        warning = keep_committed(committed_in, results, kept)
        if warning:
            print(f"Warning: {warning}.")
        return 0
    overwritten = committed_in == products
    committed = read_head(products) or read_folder(kept) if overwritten else read_folder(committed_in)
    if not committed:
        print(f"Nothing to compare with: {committed_in}/ has no committed CSV file.")
        return 1
    started = first_written(results)
    if started is None:
        command = "make smoke" if options.scale == "smoke" else f"make reproduce SCALE={options.scale}"
        print(f"Nothing was reproduced here: {results}/ has no file; `{command}` comes first.")
        return 1
    verdicts = compare(committed, read_folder(products), untouched_files(products, started))
    print(report(verdicts))
    reproduced_any = any(verdict.word != "untouched" for verdict in verdicts)
    return 0 if reproduced_any and not any(verdict.word in ("CHANGED", "missing") for verdict in verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
