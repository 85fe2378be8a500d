# The mirror of an experiment's finished results in MLflow. Expects from the Snakefile: experiment_products(experiment),
# the figures and tables of the experiment.
from rasgd import tracking

STORE = tracking.tracking_uri(config["results"], config.get("tracking_uri"))
for experiment in TRAINED_EXPERIMENTS:
    # Somebody may have deleted the database, or runs in it: then the receipt is no longer true.
    tracking.discard_lost_receipt(STORE, f"{RESULTS}/tracking/{experiment}.json")


rule track:
    input:
        curves=lambda wildcards: experiment_tables(wildcards.experiment, "curves"),
        runs=lambda wildcards: experiment_tables(wildcards.experiment, "runs"),
        grids=lambda wildcards: experiment_tables(wildcards.experiment, "grid"),
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
        cases=lambda wildcards: case_labels(wildcards.experiment),
        source_hashes=lambda wildcards: {
            method: source_hashes(wildcards.experiment, method) for method in SETTINGS[wildcards.experiment]["methods"]
        },
        tracking_uri=config.get("tracking_uri"),
        store=tracking.store_name(STORE, config["results"]),  # not read: with another store, runs are imported again
        results=lambda wildcards: config["results"],
        code=figure_code("track"),
    message:
        "Mirroring {wildcards.experiment} in MLflow"
    script:
        "../scripts/track.py"
