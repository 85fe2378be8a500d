# Reads and checks every setting before any rule; wrong input ends here with one line.
import sys
from pathlib import Path

from rasgd.experiments import settings as experiments
from rasgd.experiments import provenance
from rasgd.experiments.seeds import with_other_seeds


def read_settings():
    """The settings of every experiment at this scale, checked."""
    schemas = Path(workflow.basedir) / "workflow/schemas"
    config_schema = experiments.read_yaml(schemas / "config.schema.yaml")
    experiment_schema = experiments.read_yaml(schemas / "experiment.schema.yaml")
    experiments.check_schema(config, config_schema, "config/config.yaml or --config")
    experiments.check_environment(config)
    settings = {}
    for path in sorted(Path("config/experiments").glob("*.yaml")):
        settings[path.stem] = with_other_seeds(experiments.read(path, config["scale"]), config["seed_shift"])
        experiments.check_schema(settings[path.stem], experiment_schema, str(path))
        experiments.check(settings[path.stem], str(path))
    return settings


def read_theory_settings():
    """The settings of the experiments that are computed rather than trained, at this scale, checked."""
    schema = experiments.read_yaml(Path(workflow.basedir) / "workflow/schemas/theory.schema.yaml")
    settings = {}
    for path in sorted(Path("config/theory").glob("*.yaml")):
        settings[path.stem] = with_other_seeds(experiments.read(path, config["scale"]), config["seed_shift"])
        experiments.check_schema({path.stem: settings[path.stem]}, schema, str(path))
        if "tuning" in settings[path.stem]:
            experiments.check_seeds_differ(settings[path.stem], str(path))
    return settings


try:
    SETTINGS = read_settings()
    THEORY_SETTINGS = read_theory_settings()
except ValueError as error:
    sys.exit(f"error: {error}")

EXPERIMENTS = list(SETTINGS)
RESULTS = f"{config['results']}/{config['scale']}"
RUNS = f"{RESULTS}/runs"  # shared by all seeds: what was tuned is found again
if config["seed_shift"]:
    RESULTS = f"{RESULTS}/seeds_{config['seed_shift']}"
FIGURES = {
    "smoke": f"{RESULTS}/paper_figures",
    "laptop": config["figures"],
    "paper": f"{config['figures']}/paper_scale",
}[config["scale"] if not config["seed_shift"] else "smoke"]


wildcard_constraints:
    experiment="|".join(EXPERIMENTS),
    method="[a-z0-9_]+",


def partition_arguments(experiment):
    return experiments.partition_settings(SETTINGS[experiment])


def training_data(wildcards):
    """The data files a training job reads."""
    arguments = partition_arguments(wildcards.experiment)
    if arguments is None:
        return {}
    return {
        "dataset": f"{RESULTS}/data/{arguments['dataset']}.npz",
        "partition": f"{RESULTS}/partitions/{wildcards.experiment}.npz",
    }


def training_settings(experiment, method):
    """What one training job depends on: other methods, titles and captions of its experiment are left out."""
    return experiments.training_settings(SETTINGS[experiment], method)


def source_hashes(experiment, method):
    return {backend: provenance.source_hash(method, backend) for backend in SETTINGS[experiment]["backends"]}


def training_outputs(experiment, table):
    return expand(
        f"{RESULTS}/{experiment}/{{method}}/{table}.parquet",
        method=SETTINGS[experiment]["methods"],
    )


def real_clock_threads(experiment):
    """All cores where real workers run, since any other job would steal their time; smoke does not mind."""
    real = "processes" in SETTINGS[experiment]["backends"] and config["scale"] != "smoke"
    return workflow.cores if real else 1
