# Reads and checks every setting before any rule; wrong input ends here with one line.
import sys
from pathlib import Path

from rasgd.backends import BACKENDS
from rasgd.experiments import settings as experiments
from rasgd.experiments import provenance
from rasgd.experiments.exact import EXACT
from rasgd.methods import METHODS
from rasgd.experiments.seeds import with_other_seeds


def read_settings():
    """The settings of every experiment at this scale, checked."""
    schemas = Path(workflow.basedir) / "workflow/schemas"
    config_schema = experiments.read_yaml(schemas / "config.schema.yaml")
    experiments.check_schema(config, config_schema, "config/config.yaml or --config")
    experiments.check_environment(config)
    return experiments.read_all(
        "config/experiments",
        schemas / "experiment.schema.yaml",
        config["scale"],
        lambda settings: with_other_seeds(settings, config["seed_shift"]),
    )


try:
    SETTINGS = read_settings()
except ValueError as error:
    sys.exit(f"error: {error}")

EXPERIMENTS = list(SETTINGS)
EXACT_EXPERIMENTS = [experiment for experiment in EXPERIMENTS if experiments.is_exact(SETTINGS[experiment])]
TRAINED_EXPERIMENTS = [experiment for experiment in EXPERIMENTS if experiment not in EXACT_EXPERIMENTS]
RESULTS = f"{config['results']}/{config['scale']}"
RUNS = f"{RESULTS}/runs"  # shared by all seeds: what was tuned is found again
if config["seed_shift"]:
    RESULTS = f"{RESULTS}/seeds_{config['seed_shift']}"
FIGURES = {
    "smoke": f"{RESULTS}/paper_figures",
    "laptop": config["figures"],
    "paper": f"{config['figures']}/published",
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
    """By backend, a hash of the code behind the runs of all cases."""
    cases = [experiments.case_settings(SETTINGS[experiment], case) for case in SETTINGS[experiment]["cases"]]
    return {
        backend: provenance.content_hash([provenance.case_hash(case, method, backend) for case in cases])
        for backend in SETTINGS[experiment]["backends"]
    }


def script_code(script):
    """A hash of a script and of the library code that it imports: Snakemake would count comments too."""
    path = Path(workflow.basedir) / f"workflow/scripts/{script}.py"
    return [provenance.code_hash(path), provenance.modules_hash(*provenance.imported(path))]


def experiment_tables(experiment, table):
    """The Parquet files of one table of an experiment: a file per method for what training writes, else one file."""
    if not experiments.is_exact(SETTINGS[experiment]) and table in experiments.TABLES:
        return [f"{RESULTS}/{experiment}/{method}/{table}.parquet" for method in SETTINGS[experiment]["methods"]]
    return [f"{RESULTS}/{experiment}/{table}.parquet"]


def exact_outputs(experiment):
    """Table → file."""
    return {table: f"{RESULTS}/{experiment}/{table}.parquet" for table in experiments.tables_of(SETTINGS[experiment])}


def uses_wall_clock(experiment):
    return any(BACKENDS[backend].wall_clock for backend in SETTINGS[experiment]["backends"])


def real_clock_threads(experiment):
    """All cores where real workers run, since any other job would steal their time; smoke does not mind."""
    return workflow.cores if uses_wall_clock(experiment) and config["scale"] != "smoke" else 1


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
