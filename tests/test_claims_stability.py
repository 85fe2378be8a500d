"""Judging claims again on other seeds: what flips is said, what is asked for is remade, and nothing else."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from counterfeits import FORGERS, REPLICAS, inside

from rasgd.claims import read_claims, stability
from rasgd.claims.__main__ import main
from rasgd.figures import saving

ROOT = Path(__file__).parents[1]
SETTINGS = read_claims(ROOT / stability.CLAIMS, ROOT / stability.SCHEMA)
BY_ID = {claim["id"]: claim for claim in SETTINGS["claims"]}


CLAIMS = ("theorem_4_1", "figure_1_degrade", "slow_owners")


def products(**targets: float) -> dict[str, pd.DataFrame]:
    """On which three claims hold, unless they are given another number."""
    made = {}
    for name in CLAIMS:
        claim = BY_ID[name]
        rows = FORGERS[claim["check"]](claim, targets.get(name, inside(claim["margin"])), REPLICAS)
        made[claim["product"]] = pd.DataFrame(rows)
    return made


def write(products: dict, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, table in products.items():
        saving.save_csv(table, folder / f"{name}.csv")
    return folder


@dataclass(frozen=True)
class Remade(stability.Workflow):
    """A workflow whose products on other seeds are made up; from the third set on one of them is another."""

    asked: list = field(default_factory=list)

    def remake(self, names, shift):
        self.asked.append((list(names), shift))
        changed = {} if shift < 2 * stability.SPACING else {"figure_1_degrade": 4.0}
        return write(products(**changed), self.results / f"seeds_{shift}")


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    return Remade("laptop", tmp_path / "results", write(products(), tmp_path / "figures"), cores=1)


def test_a_verdict_that_changes_with_the_seeds_is_told(workflow, tmp_path):
    judged = stability.judge_again([], 3, workflow)
    assert stability.flipped(judged) == ["figure_1_degrade"]
    assert judged["shift"].unique().tolist() == [0, stability.SPACING, 2 * stability.SPACING]
    text = stability.plain(judged).splitlines()
    assert [line for line in text if line.startswith("FLIPS")] == [
        line for line in text if "figure_1_degrade " in line and line.endswith("holds, holds, fails")
    ]
    stability.save(judged, "laptop", tmp_path / "stability")
    assert "| **figure_1_degrade** | holds × 2, fails × 1 |" in (tmp_path / "stability.md").read_text()
    assert len(pd.read_csv(tmp_path / "stability.csv")) == len(judged)


def test_only_claims_with_sampling_error_and_their_products_are_remade(workflow):
    judged = stability.judge_again([], 2, workflow)
    [(names, _)] = workflow.asked
    assert "theorem_4_1" not in set(judged["id"]) and "figure_s3_theorems" not in names
    assert "figure_1_degrade" in set(judged["id"]) and "figure_1_mnist_by_seed" in names


def test_claims_that_are_asked_for_are_judged_alone(workflow):
    judged = stability.judge_again(["slow_owners"], 3, workflow)
    assert set(judged["id"]) == {"slow_owners"} and stability.flipped(judged) == []
    assert [names for names, _ in workflow.asked] == [["figure_s10_slow_owners_by_seed"]] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wishes"], "claims must be among .*, got wishes"),
        (["--figures", "nowhere"], "make the ledger first"),
        (["--sets", "1"], "--sets must be from 2 to 10, got 1"),
        (["--sets", "11"], "--sets must be from 2 to 10, got 11"),
    ],
)
def test_what_cannot_be_judged_again_is_told_in_one_line(workflow, arguments, message):
    with pytest.raises(SystemExit, match=message) as told:
        main(["stability", "--figures", str(workflow.figures), *arguments])
    assert "\n" not in str(told.value)
