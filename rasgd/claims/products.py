"""The numbers of figures and tables, as checkers read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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


def product(products: Products, name: str) -> pd.DataFrame:
    """The rows of one product.

    Raises:
        MissingNumbersError: if it is not there.
    """
    if name not in products:
        raise MissingNumbersError(f"{name} is not there")
    return products[name]


def select(table: pd.DataFrame, **wanted) -> pd.DataFrame:
    """The rows whose columns have the values wanted; numbers are compared to 1e-4 relative, as CSV files round.

    Raises:
        MissingNumbersError: if there are none.
    """
    for column, value in wanted.items():
        if column not in table:
            raise MissingNumbersError(f"there is no column {column}")
        if isinstance(value, str):
            rows = table[table[column].astype(str) == value]
        else:
            rows = table[np.isclose(table[column].to_numpy(dtype=float), value, rtol=1e-4, atol=0)]
        if rows.empty:
            raise MissingNumbersError(f"no row has {column} {value}")
        table = rows
    return table


def number(table: pd.DataFrame, column: str, **wanted) -> float:
    """The one number in a column of the rows wanted.

    Raises:
        MissingNumbersError: if there is none, or it is nan.
    """
    rows = select(table, **wanted)
    if column not in rows:
        raise MissingNumbersError(f"there is no column {column}")
    values = rows[column].dropna().unique()
    if len(values) != 1:
        where = ", ".join(f"{name} {value}" for name, value in wanted.items())
        raise MissingNumbersError(f"{column} at {where} should be one number, there are {len(values)}")
    return float(values[0])


def complete(values, name: str):
    """The values, of which none may be missing: a largest or smallest of the others would say nothing.

    Raises:
        MissingNumbersError: if some are nan.
    """
    if np.isnan(np.asarray(values, dtype=float)).any():
        raise MissingNumbersError(f"{name}: some numbers are missing")
    return values
