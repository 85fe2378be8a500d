"""A product is one figure or table: a module of its name beside this one, and a row in config/products.yaml.

The module has two functions. `caption(settings)` says in plain text what is shown, and of the settings only what is
there. `draw(tables, settings)` makes a `Product` and computes nothing: whatever it needs is in a table. Both take
settings as `{experiment: its checked settings}`; tables are `{experiment: {table: DataFrame}}`, those that the row
lists under `shows`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from rasgd.experiments import settings as experiments
from rasgd.figures import saving, style
from rasgd.methods import METHODS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    Tables = Mapping[str, Mapping[str, pd.DataFrame]]

GENERIC = "generic"  # the module that draws experiments without a product of their own
ITEM = re.compile(r"(figure|table)_(s?\d+)_([a-z0-9_]+)")
FIGURE_FILES = {"png": ".png", "pdf": ".pdf", "csv": ".csv", "caption": ".md"}
TABLE_FILES = {"markdown": ".md", "latex": ".tex", "csv": ".csv"}


class Product(NamedTuple):
    """What a figure or table consists of.

    Attributes:
        numbers: what it shows as plain numbers and short names; the CSV file.
        figure: the picture; None for a table.
        by_seed: one row of numbers per seed, for the claims.
        shown: a table as people read it: text in its cells, or a pair of Markdown and LaTeX, and in its index the
            heading of the group that a row belongs to, empty where there is none. A figure may have one, too: it
            stands under its caption.
    """

    numbers: pd.DataFrame
    figure: Figure | None = None
    by_seed: pd.DataFrame | None = None
    shown: pd.DataFrame | None = None


class Row(NamedTuple):
    """A product's row in config/products.yaml.

    Attributes:
        shows: the tables it is made from, by experiment.
        by_seed: whether it also writes one row of numbers per seed.
        tolerance: how far another machine's numbers may differ, a key of TOLERANCES of workflow/scripts/compare.py.
        module: in rasgd.figures, that draws it.
        item: the short name by which it is asked for, such as figure_s9.
        heading: how its caption begins, such as Figure S9.
        about: the rest of its name.
    """

    shows: dict[str, list[str]]
    by_seed: bool
    tolerance: str
    module: str
    item: str
    heading: str
    about: str


def rows(path: str | Path, path_to_schema: str | Path, tables: Mapping[str, Iterable[str]]) -> dict[str, Row]:
    """All products: those of config/products.yaml, and a generic figure of every experiment that none of them shows.

    A product of which an experiment is not there is left out.

    Args:
        path, path_to_schema: of config/products.yaml, and what it is checked with.
        tables: names of the tables of every experiment that is there.

    Raises:
        ValueError: one line naming file and key, what was given and what is allowed.
    """
    given = experiments.read_yaml(path)
    experiments.check_schema(given, experiments.read_yaml(path_to_schema), str(path))
    found = {}
    for name, row in given.items():
        if not set(row["shows"]) <= set(tables):
            continue
        for experiment, wanted in row["shows"].items():
            if unknown := sorted(set(wanted) - set(tables[experiment])):
                known = ", ".join(tables[experiment])
                raise ValueError(f"{path}: {name}.shows.{experiment} must be among {known}, got {', '.join(unknown)}")
        found[name] = Row(row["shows"], row.get("by_seed", False), row["tolerance"], name, *parts_of(name))
    shown = {experiment for row in found.values() for experiment in row.shows}
    for experiment, names in tables.items():
        if experiment not in shown and "curves" in names and "runs" in names:  # it is trained
            name, words = f"figure_{experiment}", experiment.replace("_", " ")
            found[name] = Row({experiment: ["curves"]}, True, "float32", GENERIC, name, f"Figure {words}", words)
    return found


def parts_of(product: str) -> tuple[str, str, str]:
    """Item, heading and subject in a product's name."""
    kind, number, about = ITEM.fullmatch(product).groups()
    return f"{kind}_{number}", f"{kind.capitalize()} {number.upper()}", about.replace("_", " ")


def is_figure(product: str) -> bool:
    return product.startswith("figure")


def files(product: str, by_seed: bool) -> dict[str, str]:
    """Names of the files of a product by what they are."""
    endings = dict(FIGURE_FILES if is_figure(product) else TABLE_FILES)
    if by_seed:
        endings["by_seed"] = "_by_seed.csv"
    return {kind: f"{product}{ending}" for kind, ending in endings.items()}


def module(name: str) -> ModuleType:
    """The module that draws a product."""
    return importlib.import_module(f"rasgd.figures.{name}")


def caption(module_name: str, heading: str, settings: Mapping[str, dict], scale: str) -> str:
    """A product's caption with its heading in front and the scale behind, in one paragraph."""
    return " ".join(f"{heading}: {module(module_name).caption(settings)} Scale: {scale}.".split())


def read(paths: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, dict[str, pd.DataFrame]]:
    """The tables of every experiment, from their files."""
    return {experiment: {table: read_table(files) for table, files in own.items()} for experiment, own in paths.items()}


def read_table(paths: Sequence[str]) -> pd.DataFrame:
    """One table, from the Parquet or CSV files of which it consists; several are put in the order of `METHODS`."""
    import pandas as pd

    parts = [pd.read_csv(path) if str(path).endswith(".csv") else pd.read_parquet(path) for path in paths]
    table = pd.concat(parts, ignore_index=True)
    if len(parts) == 1:
        return table
    order = table["method"].map({method: index for index, method in enumerate(METHODS)})
    return table.loc[order.sort_values(kind="stable").index].reset_index(drop=True)


def make(module_name: str, tables: Tables, settings: Mapping[str, dict], stem: Path, caption: str) -> Product:
    """Draws a product and writes its files; returns what was drawn."""
    with style.settings():
        made = module(module_name).draw(tables, settings)
        save(made, stem, caption)
    return made


def save(product: Product, stem: Path, caption: str) -> None:
    """Writes a figure as .png and .pdf, a table as .tex; the caption, and what is shown as a table, as .md.

    The numbers of both are a .csv, and so are those by seed.
    """
    table = None if product.shown is None else table_text(product.shown)
    if product.figure is not None:
        saving.save_figure(product.figure, stem, product.numbers, caption, table)
    else:
        saving.save_table(stem, *table, product.numbers, caption)
    if product.by_seed is not None:
        saving.save_csv(product.by_seed, f"{stem}_by_seed.csv")


def table_text(shown: pd.DataFrame) -> tuple[list[str], list[saving.Group]]:
    """Header and groups of rows of a table that is shown."""
    groups: list[saving.Group] = []
    for group, cells in zip(shown.index, shown.to_numpy(dtype=object).tolist(), strict=True):
        if not groups or groups[-1].heading != group:
            groups.append(saving.Group(group, []))
        groups[-1].rows.append(cells)
    return list(shown.columns), groups
