"""Makes one figure or table from the tables of the experiments it shows."""

from pathlib import Path

from rasgd.experiments.logged import job
from rasgd.figures import product, saving


def make_product(
    module: str,
    heading: str,
    paths_to_tables: dict[str, dict[str, list[str]]],
    settings: dict[str, dict],
    scale: str,
    path_stem: Path,
    path_to_report_caption: str,
) -> None:
    """Writes the product's files, and its caption as the HTML report reads it.

    Args:
        module: in rasgd.figures, that draws it.
        heading: how its caption begins.
        paths_to_tables: by experiment and table.
        settings: of the experiments.
        scale: smoke, laptop or paper.
        path_stem: of the product's files.
        path_to_report_caption: .rst to write.
    """
    caption = product.caption(module, heading, settings, scale)
    product.make(module, product.read(paths_to_tables), settings, path_stem, caption)
    saving.save_text(path_to_report_caption, saving.restructured(caption))


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.rule):
        make_product(
            module=snakemake.params.module,
            heading=snakemake.params.heading,
            paths_to_tables=snakemake.params.tables,
            settings=snakemake.params.settings,
            scale=snakemake.params.scale,
            path_stem=Path(snakemake.output.csv).with_suffix(""),
            path_to_report_caption=snakemake.output.report_caption,
        )
