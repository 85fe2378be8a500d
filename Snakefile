# The whole artefact: `snakemake` makes every figure and table at laptop scale.
# One experiment, figure or table: `snakemake mnist`, `snakemake figure_1`, `snakemake table_2`.
from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/settings.smk"
include: "workflow/rules/products.smk"
include: "workflow/rules/theory.smk"


rule all:
    default_target: True
    input:
        ALL_PRODUCTS,
        LEDGER,
        expand(f"{RESULTS}/tracking/{{experiment}}.json", experiment=TRAINED_EXPERIMENTS),


include: "workflow/rules/data.smk"
include: "workflow/rules/trajectory.smk"
include: "workflow/rules/exact.smk"
include: "workflow/rules/recorded_runs.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/track.smk"
include: "workflow/rules/check.smk"


for experiment in EXPERIMENTS:

    rule:
        name:
            experiment
        input:
            experiment_products(experiment),
            [f"{RESULTS}/tracking/{experiment}.json"] if experiment in TRAINED_EXPERIMENTS else [],
        message:
            f"Everything of the experiment {experiment} is there"


for item, files in ITEMS.items():

    rule:
        name:
            item
        input:
            files,
