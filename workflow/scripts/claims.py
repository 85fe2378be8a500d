"""Judges the claims by figures and tables, and writes the ledger."""

from pathlib import Path

from rasgd import claims
from rasgd.claims import writing
from rasgd.experiments.logged import job


def judge_claims(
    path_to_claims: str, path_to_schema: str, path_to_products: Path, available: list[str], scale: str, path_stem: Path
) -> None:
    """Writes the ledger as .md and .csv.

    Args:
        path_to_claims, path_to_schema: settings of the ledger and what they are checked with.
        path_to_products: folder of the CSV files.
        available: names of the products that are made at this scale; a file of another one may be left from before.
        scale: smoke, laptop or paper.
        path_stem: of the files to write.
    """
    settings = claims.read_claims(path_to_claims, path_to_schema)
    names = [name for name in claims.product_names(settings) if name in available]
    entries = claims.judge(settings, claims.read(path_to_products, names))
    writing.save(entries, settings, scale, path_stem)


if "snakemake" in globals():
    with job(snakemake.log[0], "claims"):
        judge_claims(
            path_to_claims=snakemake.input.settings,
            path_to_schema=snakemake.params.schema,
            path_to_products=Path(snakemake.output.csv).parent,
            available=snakemake.params.available,
            scale=snakemake.params.scale,
            path_stem=Path(snakemake.output.csv).with_suffix(""),
        )
