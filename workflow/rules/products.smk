# Figures and tables: all that is known of them stands in config/products.yaml and in their modules. Expects from
# settings.smk: SETTINGS, RESULTS, FIGURES and experiment_tables(experiment, table).
import os

from rasgd.figures import product as products

LEDGER = [f"{FIGURES}/claims.md", f"{FIGURES}/claims.csv"]

try:
    PRODUCTS = products.rows(
        "config/products.yaml",
        f"{workflow.basedir}/workflow/schemas/products.schema.yaml",
        {experiment: experiments.tables_of(own) for experiment, own in SETTINGS.items()},
    )
except ValueError as error:
    sys.exit(f"error: {error}")


def product_files(product):
    return [f"{FIGURES}/{name}" for name in products.files(product, PRODUCTS[product].by_seed).values()]


def product_tables(product):
    """The files a product is made from, by experiment and table."""
    shows = PRODUCTS[product].shows
    return {
        experiment: {table: experiment_tables(experiment, table) for table in tables}
        for experiment, tables in shows.items()
    }


def all_files(tables):
    return [path for own in tables.values() for files in own.values() for path in files]


def with_results(names):
    """The products' files and the results they are made from.

    In a fresh clone the committed products are there and the results are not: asked for the products alone, Snakemake
    would find nothing to do.
    """
    return [path for name in names for path in product_files(name) + all_files(product_tables(name))]


def experiment_products(experiment):
    """What shows this experiment, and what it is made from."""
    return with_results([name for name, row in PRODUCTS.items() if experiment in row.shows])


def experiment_results(experiment):
    return [
        path for table in experiments.tables_of(SETTINGS[experiment]) for path in experiment_tables(experiment, table)
    ]


# Target → files: figure_1, …, table_s4.
# A figure that follows from an experiment has no number: its own rule bears its name.
ITEMS = {row.item: with_results([name]) for name, row in PRODUCTS.items() if row.item != name}
ALL_PRODUCTS = with_results(PRODUCTS)

WHAT = {  # in the report a file's own name says little
    "png": "figure",
    "pdf": "figure for print",
    "markdown": "table",
    "latex": "table for print",
    "csv": "numbers",
    "by_seed": "numbers by seed",
}


def report_caption(product):
    """Where the report finds a product's caption, which is written with it."""
    return os.path.abspath(f"{RESULTS}/captions/{product}.rst")


def product_outputs(product):
    """Named outputs of a product's rule, marked for the report."""
    row = PRODUCTS[product]
    outputs = {}
    for kind, name in products.files(product, row.by_seed).items():
        path = f"{FIGURES}/{name}"
        outputs[kind] = (
            path
            if kind not in WHAT
            else report(
                path,
                caption=report_caption(product),
                category="Figures" if products.is_figure(product) else "Tables",
                labels={"item": row.heading, "about": row.about, "file": WHAT[kind]},
            )
        )
    return outputs


for name, row in PRODUCTS.items():

    rule:
        name:
            name
        input:
            all_files(product_tables(name)),
        output:
            **product_outputs(name),
            report_caption=f"{RESULTS}/captions/{name}.rst",
        log:
            f"{RESULTS}/logs/{name}.log",
        conda:
            "../../environment.yml"
        params:
            heading=row.heading,
            module=row.module,
            tables=product_tables(name),
            settings={experiment: SETTINGS[experiment] for experiment in row.shows},
            scale=config["scale"],
            code=[script_code("product"), provenance.modules_hash(f"figures.{row.module}")],
        message:
            f"Making {row.heading}, {row.about}"
        script:
            "../scripts/product.py"
