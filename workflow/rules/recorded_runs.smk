# Real runs whose every arrival is recorded, one of them with workers that are killed.


def recorded_outputs(experiment):
    """Name → file."""
    home = f"{RESULTS}/{experiment}/recorded"
    traces = {name: f"{home}/{name}.parquet" for name in ("timeline", "fault_trace")}
    return traces | {name: f"{home}/{name}.csv" for name in ("fault_curves", "kills")}


rule recorded_runs:
    output:
        **recorded_outputs("real_processes"),
    log:
        f"{RESULTS}/logs/recorded_runs.log",
    conda:
        "../../environment.yml"
    threads: 1
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
