# Data sets and who owns which sample. Expects from the Snakefile: RESULTS, the results folder of the scale, and
# partition_arguments(experiment): {"dataset": name, "kind": kind, and the arguments of rasgd.partition's function}.


rule dataset:
    output:
        dataset=f"{RESULTS}/data/{{dataset}}.npz",
    log:
        f"{RESULTS}/logs/dataset/{{dataset}}.log",
    conda:
        "../../environment.yml"
    params:
        name=lambda wildcards: wildcards.dataset,
        code=script_code("dataset"),
        directory=config.get("data_directory"),
        cache_directory=config.get("cache_directory", "data"),
    message:
        "Obtaining the data set {wildcards.dataset} and checking its SHA-256"
    script:
        "../scripts/dataset.py"


rule partition:
    input:
        dataset=lambda wildcards: f"{RESULTS}/data/{partition_arguments(wildcards.experiment)['dataset']}.npz",
    output:
        partition=f"{RESULTS}/partitions/{{experiment}}.npz",
        png=f"{RESULTS}/partitions/{{experiment}}.png",
        pdf=f"{RESULTS}/partitions/{{experiment}}.pdf",
        csv=f"{RESULTS}/partitions/{{experiment}}.csv",
        table=f"{RESULTS}/{{experiment}}/partition.parquet",
    log:
        f"{RESULTS}/logs/partition/{{experiment}}.log",
    conda:
        "../../environment.yml"
    params:
        kind=lambda wildcards: partition_arguments(wildcards.experiment)["kind"],
        arguments=lambda wildcards: {
            name: value
            for name, value in partition_arguments(wildcards.experiment).items()
            if name not in ("dataset", "kind")
        },
        code=script_code("partition"),
    message:
        "Handing out the training samples of {wildcards.experiment} to its workers"
    script:
        "../scripts/partition.py"
