"""`python -m rasgd.claims print` shows a ledger, `python -m rasgd.claims stability` judges again on other seeds."""

import argparse
import sys
from pathlib import Path

from rasgd.claims import stability, writing


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 where verdicts differ between seeds, or where there is nothing to read."""
    parser = argparse.ArgumentParser(prog="python -m rasgd.claims", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("print", help="print the ledger")
    show.add_argument("ledger", nargs="?", default="paper_figures/claims.csv", help="its CSV file")
    again = commands.add_parser("stability", help="judge again on disjoint sets of seeds and compare verdicts")
    again.add_argument(
        "claims", nargs="*", help="rows to judge again (default: all that have sampling error, which are then written "
        "to claims_stability.md and .csv beside the ledger)",
    )  # fmt: skip
    again.add_argument("--sets", type=whole_number, default=10, help="sets of seeds, the one of the ledger included")
    again.add_argument("--scale", choices=("smoke", "laptop", "paper"), default="laptop")
    again.add_argument(
        "--results", default="results", type=Path, help="folder of the results, as in config/config.yaml"
    )
    again.add_argument("--figures", default="paper_figures", type=Path, help="folder of the figures, as there")
    again.add_argument("--cores", type=whole_number, default=2, help="for Snakemake")
    options = parser.parse_args(arguments)
    try:
        if options.command == "print":
            print(writing.plain(read_ledger(options.ledger)))
            return 0
        return judge_again(options)
    except ValueError as error:
        sys.exit(f"error: {error}")


def judge_again(options: argparse.Namespace) -> int:
    if not 2 <= options.sets <= stability.MAX_SETS:
        raise ValueError(f"--sets must be from 2 to {stability.MAX_SETS}, got {options.sets}")
    figures = {
        "smoke": options.results / "smoke/paper_figures",
        "laptop": options.figures,
        "paper": options.figures / "paper_scale",
    }[options.scale]
    workflow = stability.Workflow(options.scale, options.results, figures, options.cores)
    judged = stability.judge_again(options.claims, options.sets, workflow)
    if not options.claims:
        stability.save(judged, options.scale, figures / "claims_stability")
    print(stability.plain(judged))
    return int(bool(stability.flipped(judged)))


def whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return int(text)


def read_ledger(path: str):
    import pandas as pd

    if not Path(path).is_file():
        raise ValueError(f"{path} is not there: `snakemake claims` writes it")
    return pd.read_csv(path)


if __name__ == "__main__":
    sys.exit(main())
