# Real runs whose every arrival is recorded, one of them with workers that are killed.

for experiment in [name for name in TRAINED_EXPERIMENTS if "recorded" in SETTINGS[name]]:

    rule:
        name:
            f"recorded_{experiment}"
        output:
            **{table: f"{RESULTS}/{experiment}/{table}.parquet" for table in experiments.RECORDED_TABLES},
        log:
            f"{RESULTS}/logs/recorded/{experiment}.log",
        conda:
            "../../environment.yml"
        threads: real_clock_threads(experiment)
        resources:
            real_clock=1,
        params:
            settings=SETTINGS[experiment],
            code=[
                script_code("recorded_runs"),
                source_hashes(experiment, SETTINGS[experiment]["recorded"]["method"]),
            ],
        message:
            f"Recording real workers of {experiment}, and killing some"
        script:
            "../scripts/recorded_runs.py"
