# Training: one job per experiment and method tunes on its own seeds and reports on others.


rule trajectory:
    input:
        unpack(training_data),
    output:
        curves=f"{RESULTS}/{{experiment}}/{{method}}/curves.parquet",
        runs=f"{RESULTS}/{{experiment}}/{{method}}/runs.parquet",
        grid=f"{RESULTS}/{{experiment}}/{{method}}/grid.parquet",
    log:
        f"{RESULTS}/logs/trajectory/{{experiment}}/{{method}}.log",
    conda:
        "../../environment.yml"
    threads: lambda wildcards: real_clock_threads(wildcards.experiment)
    resources:
        gpu=int(config["device"] == "cuda"),
        real_clock=lambda wildcards: int(uses_wall_clock(wildcards.experiment)),
    params:
        settings=lambda wildcards: training_settings(wildcards.experiment, wildcards.method),
        code=script_code("trajectory"),
        source_hashes=lambda wildcards: source_hashes(wildcards.experiment, wildcards.method),  # not read
        device=config["device"],
        store=RUNS,
    message:
        "Training {wildcards.method} on {wildcards.experiment}"
    script:
        "../scripts/trajectory.py"
