"""What the README promises, the project keeps."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_docs import PAGES, blocks, prose
from test_packaging import preflight

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PRODUCTS = ROOT / "config/products.yaml"
# Claim, item, command: the rows of the table of claims.
CLAIMS = re.findall(r"^\| .+ \| `(\w+)` \| `(snakemake .+)` \|$", README.read_text(), re.M)


def test_it_is_short_and_says_how_to_enter_the_environment_before_it_calls_snakemake():
    text = README.read_text()
    assert len(text.splitlines()) <= 150
    assert text.index(". .venv/bin/activate") < text.index("snakemake ")


def test_the_first_example_runs_and_its_comments_are_true():
    names = {}
    exec(blocks(README, "python")[0], names)
    rasgd, problem = names["rasgd"], names["problem"]
    vanilla = rasgd.simulate(problem, "asgd", [1.0, 2.0, 6.0], 0.02, until=500.0)
    # up to the horizon, which is no multiple of the cycle of 6 s: a share is off by at most a step in Σ⌊500/τ⌋τ ≈ 1494
    assert names["t"].effective_weights == pytest.approx([1 / 3] * 3, abs=6 / 1494)
    assert vanilla.effective_weights == pytest.approx([0.6, 0.3, 0.1], abs=1 / 833)


def test_its_minutes_are_those_that_a_run_announces():
    assert preflight.COSTS["laptop"].minutes in README.read_text()


def made_by(target: str) -> set[str]:
    """Names of all files that asking for a target makes, results left out."""
    command = [sys.executable, "-m", "snakemake", target, "--summary", "--cores", "1"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert answer.returncode == 0, f"{target}: {answer.stderr}"
    paths = (line.split("\t")[0] for line in answer.stdout.splitlines()[1:])
    return {Path(path).stem for path in paths if path.startswith("paper_figures/")}


def test_every_command_of_the_table_of_claims_is_for_its_item():
    items = {re.match(r"(figure|table)_s?\d+", name)[0] for name in yaml.safe_load(PRODUCTS.read_text())}
    assert len(CLAIMS) >= 12
    for item, command in CLAIMS:
        assert item in items and command == f"snakemake {item} && make compare"


def test_such_a_command_makes_its_item_and_no_other():
    (item, _), *_ = CLAIMS
    names = made_by(item)
    assert names and all(name.startswith(f"{item}_") for name in names)


def test_every_snakemake_target_that_a_page_names_can_be_asked_for():
    listed = subprocess.run(
        [sys.executable, "-m", "snakemake", "--list-target-rules", "--quiet", "all"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=True,
    ).stdout.split()  # fmt: skip
    named = set()
    for page in (README, *PAGES):
        text = prose(page) + "\n".join(blocks(page, "sh"))
        for words in re.findall(r"snakemake ((?:\w+ ?)+)", text.replace("`", "\n")):
            named |= {word for word in words.split() if re.match(r"(figure|table)_|claims$|verify$", word)}
    assert {"figure_3", "table_1", "claims"} <= named
    assert named - {"figure_s99"} <= set(listed)  # made by a how-to


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_no_page_says_that_a_setting_or_a_constant_is_not_known(page):
    said = re.search(r"not known|unknown (here|to us)|is unknown|full text was not available", page.read_text())
    assert said is None, said
