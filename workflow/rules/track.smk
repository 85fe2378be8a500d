# The mirror of an experiment's finished results in MLflow: its runs, where it is trained, and the figures and tables that
# show it. Expects from products.smk: experiment_products(experiment),
# from settings.smk: trained_tables(table), trained_labels(experiment), trained_hashes(experiment).
from rasgd import tracking

STORE = tracking.tracking_uri(config["results"], config.get("tracking_uri"))
for experiment in EXPERIMENTS:
    # Somebody may have deleted the database, or runs in it: then the receipt is no longer true.
    tracking.discard_lost_receipt(STORE, f"{RESULTS}/tracking/{experiment}.json")


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
