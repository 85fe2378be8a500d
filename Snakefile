# The whole artefact: `snakemake` makes every figure and table at laptop scale.
# One experiment, figure or table: `snakemake mnist`, `snakemake figure_s9`, `snakemake table_s1`.
import sys

from snakemake.utils import min_version

min_version("9.0")
if " " in sys.executable:
    sys.exit(
        f"error: Snakemake cannot start jobs with a Python whose path has a space ({sys.executable}): "
        "move the checkout, or the environment, to a folder without one"
    )


configfile: "config/config.yaml"


include: "workflow/rules/settings.smk"
include: "workflow/rules/products.smk"


rule all:
    default_target: True
    input:
        ALL_PRODUCTS,
        LEDGER,
        expand(f"{RESULTS}/tracking/{{experiment}}.json", experiment=EXPERIMENTS),
    message:
        "Every figure, every table and the ledger of claims are there"


include: "workflow/rules/data.smk"
include: "workflow/rules/trajectory.smk"
include: "workflow/rules/exact.smk"
include: "workflow/rules/recorded_runs.smk"
include: "workflow/rules/track.smk"
include: "workflow/rules/check.smk"
include: "workflow/rules/ending.smk"


for experiment in EXPERIMENTS:
    if workflow.is_rule(experiment) or experiment in ITEMS:
        sys.exit(f"error: config/experiments/{experiment}.yaml needs another name: {experiment} is a rule or a product")

    rule:
        name:
            experiment
        input:
            experiment_products(experiment),
            f"{RESULTS}/tracking/{experiment}.json",
        message:
            f"Everything of the experiment {experiment} is there"


for item, files in ITEMS.items():

    rule:
        name:
            item
        input:
            files,
        message:
            f"{item} is there, with what it was made from"
