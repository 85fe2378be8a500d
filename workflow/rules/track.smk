# The mirror of an experiment's finished results in MLflow: its runs, where it is trained, and the figures and tables that
# show it. Expects from products.smk: experiment_products(experiment).
from rasgd import tracking

STORE = tracking.tracking_uri(config["results"], config.get("tracking_uri"))
for experiment in EXPERIMENTS:
    # Somebody may have deleted the database, or runs in it: then the receipt is no longer true.
    tracking.discard_lost_receipt(STORE, f"{RESULTS}/tracking/{experiment}.json")


def trained_tables(table):
    """The files of a table of the experiment that the wildcards name; none where it is computed, not trained."""
    return lambda wildcards: (
        experiment_tables(wildcards.experiment, table) if wildcards.experiment in TRAINED_EXPERIMENTS else []
    )


def trained_labels(experiment):
    """Case → label; none where the experiment is computed."""
    cases = SETTINGS[experiment]["cases"] if experiment in TRAINED_EXPERIMENTS else {}
    return {case: own["label"] for case, own in cases.items()}


def trained_hashes(experiment):
    """Method → backend → hash of the code behind its runs; none where the experiment is computed."""
    methods = SETTINGS[experiment]["methods"] if experiment in TRAINED_EXPERIMENTS else []
    return {method: source_hashes(experiment, method) for method in methods}


rule track:
    input:
        curves=trained_tables("curves"),
        runs=trained_tables("runs"),
        grids=trained_tables("grid"),
        products=lambda wildcards: experiment_products(wildcards.experiment),
    output:
        receipt=f"{RESULTS}/tracking/{{experiment}}.json",
    log:
        f"{RESULTS}/logs/track/{{experiment}}.log",
    conda:
        "../../environment.yml"
    resources:
        mlflow_db=1,
    params:
        scale=config["scale"],
        title=lambda wildcards: SETTINGS[wildcards.experiment]["title"],
        cases=lambda wildcards: trained_labels(wildcards.experiment),
        source_hashes=lambda wildcards: trained_hashes(wildcards.experiment),
        tracking_uri=config.get("tracking_uri"),
        store=tracking.store_name(STORE, config["results"]),  # not read: with another store, runs are imported again
        results=lambda wildcards: config["results"],
        code=script_code("track"),
    message:
        "Mirroring {wildcards.experiment} in MLflow"
    script:
        "../scripts/track.py"
