# Experiments that are computed by exact theory, with a few runs beside it.


def read_tables(experiment):
    """The files that an exact experiment reads, by experiment and table."""
    return {
        (other, table): experiment_tables(other, table)
        for other, tables in SETTINGS[experiment].get("reads", {}).items()
        for table in tables
    }


def exact_code(experiment):
    """Hashes of the code behind a computation, and behind runs of every method that its settings name."""
    settings = SETTINGS[experiment]
    methods = [name for name in METHODS if name in experiments.words(settings)]
    return [
        script_code("exact"),
        provenance.modules_hash(EXACT[settings["exact"]]),
        *(provenance.run_hash(method, "simulator") for method in methods),
    ]


for experiment in EXACT_EXPERIMENTS:

    rule:
        name:
            f"exact_{experiment}"
        input:
            [path for paths in read_tables(experiment).values() for path in paths],
        output:
            **exact_outputs(experiment),
        log:
            f"{RESULTS}/logs/exact/{experiment}.log",
        conda:
            "../../environment.yml"
        params:
            experiment=experiment,
            settings=SETTINGS[experiment],
            reads=[(*key, paths) for key, paths in read_tables(experiment).items()],
            settings_read={other: SETTINGS[other] for other in SETTINGS[experiment].get("reads", {})},
            code=exact_code(experiment),
        message:
            f"Computing {experiment}: {SETTINGS[experiment]['title']}"
        script:
            "../scripts/exact.py"
