# Real runs whose every arrival is recorded, one of them with workers that are killed.


rule recorded_runs:
    output:
        **recorded_outputs("real_processes"),
    log:
        f"{RESULTS}/logs/recorded_runs.log",
    conda:
        "../../environment.yml"
    threads: real_clock_threads("real_processes")
    resources:
        real_clock=1,
    params:
        settings=SETTINGS["real_processes"],
        code=[
            figure_code("recorded_runs"),
            provenance.source_hash(SETTINGS["real_processes"]["recorded"]["method"], "processes"),
        ],
    message:
        "Recording real workers, and killing some"
    script:
        "../scripts/recorded_runs.py"
