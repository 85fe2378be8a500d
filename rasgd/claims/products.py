"""The numbers of figures and tables, as checks read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rasgd.summaries import REPLICA

if TYPE_CHECKING:
    import pandas as pd

Products = Mapping[str, "pd.DataFrame"]  # name without ending → rows


class MissingNumbersError(LookupError):
    """A product lacks the numbers that a claim is judged by."""


def read(folder: str | Path, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """The CSV files `<name>.csv` in a folder; what is not there is left out."""
    import pandas as pd

    paths = {name: Path(folder) / f"{name}.csv" for name in names}
    return {name: pd.read_csv(path) for name, path in paths.items() if path.is_file()}


def select(table: pd.DataFrame, **wanted) -> pd.DataFrame:
    """The rows whose columns have the values wanted, or one of a list of values, in the order of that list.

    Numbers are compared to 1e-4 relative, as CSV files round.

    Raises:
        MissingNumbersError: if one of the values has no row.
    """
    import pandas as pd

    for column, values in wanted.items():
        if column not in table:
            raise MissingNumbersError(f"there is no column {column}")
        parts = [rows_with(table, column, value) for value in (values if isinstance(values, list) else [values])]
        table = pd.concat(parts)
    return table


def rows_with(table: pd.DataFrame, column: str, value: str | float) -> pd.DataFrame:
    if isinstance(value, str):
        rows = table[table[column].astype(str) == value]
    else:
        numbers = table[column].to_numpy(dtype=float)
        rows = table[np.isclose(numbers, value, rtol=1e-4, atol=0)]
    if rows.empty:
        raise MissingNumbersError(f"no row has {column} {value}")
    return rows


def number(rows: pd.DataFrame, column: str, name: str) -> float:
    """The one number in a column of some rows, which `name` describes.

    Raises:
        MissingNumbersError: if there is none, or it is nan.
    """
    values = numbers(rows, column)
    values = np.unique(values[~np.isnan(values)])
    if len(values) != 1:
        raise MissingNumbersError(f"{column} of {name} should be one number, there are {len(values)}")
    return float(values[0])


def numbers(rows: pd.DataFrame, column: str) -> np.ndarray:
    """A column as numbers.

    Raises:
        MissingNumbersError: if it is not there.
    """
    if column not in rows:
        raise MissingNumbersError(f"there is no column {column}")
    return rows[column].to_numpy(dtype=float)


def complete(rows: pd.DataFrame, column: str, name: str) -> np.ndarray:
    """A column of which no number may be missing: a largest or smallest of the others would say nothing.

    Raises:
        MissingNumbersError: if some are nan.
    """
    values = numbers(rows, column)
    if np.isnan(values).any():
        raise MissingNumbersError(f"{name}: some numbers are missing")
    return values


def named_parts(
    table: pd.DataFrame, rows: dict, each: Mapping[str, dict] | None, by: Iterable[str]
) -> dict[str, pd.DataFrame]:
    """The rows behind each number of a claim, by the number's name.

    Args:
        table: of the product.
        rows: what all of them have in common, as `select` takes it.
        each: name → what its rows have besides; then `by` is empty.
        by: columns; the rows with the same values there are one number's, which these values name.
    """
    table = select(table, **rows)
    if each:
        return {name: select(table, **own) for name, own in each.items()}
    by = list(by)
    for column in by:
        if column not in table:
            raise MissingNumbersError(f"there is no column {column}")
    if not by:
        return {"": table}
    return {", ".join(map(word, key, by)): own for key, own in table.groupby(by, sort=False, dropna=False)}


def word(value, column: str) -> str:
    """A value as it stands in a number's name."""
    return value if isinstance(value, str) else f"{column} {value:g}"


def paired(table: pd.DataFrame, above: tuple[dict, str], below: tuple[dict, str]) -> pd.DataFrame:
    """Two selections' metrics side by side as columns above and below, one row per replica.

    Raises:
        MissingNumbersError: where they were not run on the same replicas.
    """
    both = []
    for wanted, metric in (above, below):
        rows = select(table, **wanted)
        numbers(rows, metric)
        both.append(rows.set_index(REPLICA)[metric].sort_index())
    if not both[0].index.equals(both[1].index) or not both[0].index.is_unique:
        raise MissingNumbersError(f"{named(above[0])} and {named(below[0])} were not run on the same seeds")
    return both[0].to_frame("above").assign(below=both[1])


def named(wanted: dict) -> str:
    return ", ".join(word(value, column) for column, value in wanted.items())
