"""`python -m rasgd.claims print` shows a ledger, `python -m rasgd.claims stability` judges again on other seeds."""

import argparse
import sys
from pathlib import Path

from rasgd.claims import stability, writing

FIGURES = {"smoke": "results/smoke/paper_figures", "laptop": "paper_figures", "paper": "paper_figures/paper_scale"}


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 where verdicts differ between seeds, or where there is nothing to read."""
    parser = argparse.ArgumentParser(prog="python -m rasgd.claims", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("print", help="print the ledger")
    show.add_argument("ledger", nargs="?", default=f"{FIGURES['laptop']}/claims.csv", help="its CSV file")
    again = commands.add_parser("stability", help="judge again on disjoint sets of seeds and compare verdicts")
    again.add_argument("claims", nargs="*", help="rows to judge again (default: all that have sampling error)")
    again.add_argument("--sets", type=int, default=10, help="sets of seeds, the one of the ledger included")
    again.add_argument("--scale", choices=FIGURES, default="laptop")
    again.add_argument("--cores", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        if options.command == "print":
            print(writing.plain(read_ledger(options.ledger)))
            return 0
        figures = FIGURES[options.scale]
        return stability.check(options.claims, options.sets, options.scale, Path(figures), options.cores)
    except ValueError as error:
        sys.exit(f"error: {error}")


def read_ledger(path: str):
    import pandas as pd

    if not Path(path).is_file():
        raise ValueError(f"{path} is not there: `snakemake claims` writes it")
    return pd.read_csv(path)


if __name__ == "__main__":
    sys.exit(main())
