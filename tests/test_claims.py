"""The ledger: every claim holds, fails or stays open as its product says; statistics; what is written."""

import json
import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from counterfeits import forged, inside, outside, selections
from figure_tables import SETTINGS as EXPERIMENTS
from figure_tables import drawn, product_rows
from hypothesis import given
from hypothesis import strategies as st

from rasgd import claims
from rasgd.claims import checks, statistics, writing
from rasgd.claims.__main__ import main
from rasgd.claims.statistics import Evidence, Margin
from rasgd.experiments.seeds import with_other_seeds

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "workflow/schemas/claims.schema.yaml"
SETTINGS = claims.read_claims(ROOT / "config/claims.yaml", SCHEMA)
IDS = [claim["id"] for claim in SETTINGS["claims"]]


CLAIMS = {claim["id"]: claim for claim in SETTINGS["claims"]}


@cache
def real_product(name: str) -> pd.DataFrame:
    """The CSV file of a product as its module makes it from small tables."""
    made = drawn(name.removesuffix("_by_seed"), product_rows()[name.removesuffix("_by_seed")])
    return made.by_seed if name.endswith("_by_seed") else made.numbers


def judged(name: str, target: float, replicas: int = 24) -> claims.Entry:
    """One claim on a product made for it."""
    claim = CLAIMS[name]
    product = forged(claim, list(real_product(claim["product"])), target, replicas)
    (entry,) = claims.judge(SETTINGS | {"claims": [claim]}, {claim["product"]: product})
    return entry


@pytest.mark.parametrize("name", IDS)
def test_every_claim_can_hold(name):
    entry = judged(name, inside(CLAIMS[name]["margin"]))
    assert entry.verdict == "holds", entry


@pytest.mark.parametrize("name", IDS)
def test_every_claim_can_fail(name):
    entry = judged(name, outside(CLAIMS[name]["margin"]))
    assert entry.verdict == "fails", entry


@pytest.mark.parametrize("name", IDS)
def test_every_claim_is_inconclusive_without_its_numbers_and_says_what_is_missing(name):
    claim = CLAIMS[name]
    (entry,) = claims.judge(SETTINGS | {"claims": [claim]}, {})
    assert (entry.verdict, entry.reason) == ("inconclusive", f"{claim['product']} is not there")
    product = forged(claim, list(real_product(claim["product"])), inside(claim["margin"]))
    for worthless in (product.iloc[:0], product.map(lambda cell: math.nan if isinstance(cell, float) else cell)):
        (entry,) = claims.judge(SETTINGS | {"claims": [claim]}, {claim["product"]: worthless})
        assert entry.verdict == "inconclusive" and entry.reason


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if claim["test"] != "exact"])
def test_too_few_seeds_leave_a_claim_inconclusive(name):
    entry = judged(name, inside(CLAIMS[name]["margin"]), replicas=3)
    assert entry.verdict == "inconclusive"
    assert entry.reason == "3 replicas, at least 12 are asked for" and entry.needed == 12


@pytest.mark.parametrize("name", IDS)
def test_claims_select_rows_by_names_that_the_real_products_have(name):
    claim = CLAIMS[name]
    product = real_product(claim["product"])
    for rows in selections(claim).values():
        for column, wanted in ((column, value) for row in rows for column, value in row.items()):
            if isinstance(wanted, str) and column != "options":
                assert wanted in set(product[column].astype(str)), f"{column} {wanted}"


def test_options_that_claims_name_are_those_of_an_experiment():
    known = {
        json.dumps(options)
        for experiment in ("mnist", "mnist_fine")
        for options in EXPERIMENTS["laptop"][experiment]["methods"]["ringleader"]
    }
    named = set(re.findall(r"options: '([^']+)'", (ROOT / "config/claims.yaml").read_text()))
    assert named and named <= known


def test_an_undecided_claim_says_how_many_seeds_would_decide():
    claim = CLAIMS["competitive_noise"]
    times = forged(claim, list(real_product(claim["product"])), 1.0)
    slow = times["method"] == "ringleader"
    times.loc[slow, ["ratio", "log_ratio_error"]] = 1 / 1.23, 0.01  # within 1.25, by less than two standard errors
    (entry,) = claims.judge(SETTINGS | {"claims": [claim]}, {claim["product"]: times})
    assert entry.verdict == "inconclusive"
    assert entry.decisive.name.startswith("ringleader")
    assert 24 < entry.needed < 400


def test_a_target_that_a_method_does_not_reach_decides_nothing_about_competition():
    claim = CLAIMS["competitive_noise"]
    times = forged(claim, list(real_product(claim["product"])), 1.0)
    times.loc[times["method"] == "ia2sgd", "time"] = math.inf
    (entry,) = claims.judge(SETTINGS | {"claims": [claim]}, {claim["product"]: times})
    assert entry.verdict == "inconclusive"


def test_a_target_that_rescaled_does_not_reach_fails():
    claim = CLAIMS["competitive_noise"]
    times = forged(claim, list(real_product(claim["product"])), 1.0)
    times.loc[times["method"] == "rescaled", ["time", "time_exact"]] = math.inf
    (entry,) = claims.judge(SETTINGS | {"claims": [claim]}, {claim["product"]: times})
    assert entry.verdict == "fails" and entry.decisive.measured == pytest.approx(8000 / 400)


def test_a_number_that_is_nan_among_others_is_missing():
    table = pd.DataFrame({"x": ["a", "b", "c"], "y": [1.0, math.nan, 1.0]})
    for check in (checks.spread, checks.value):
        with pytest.raises(LookupError):
            check(table, column="y", rows={}, by=[] if check is checks.spread else ["x"])


def test_ticks_are_held_against_what_was_measured():
    costs = {"idle_measured": 0.0, "memory_measured": 1.0, "over_mean_time_one": 1.0, "over_mean_time_two": 1.2}
    said = {"no_idle_paper": 1.0, "no_memory_paper": 1.0, "optimal_paper": 1.0}
    for changed, wrong in (
        ({}, {"optimal"}),  # its time depends on the profile
        ({"optimal_paper": 0.0}, set()),
        ({"optimal_paper": 0.0, "idle_measured": 0.1}, {"no_idle"}),
        ({"optimal_paper": 0.0, "memory_measured": 2.0}, {"no_memory"}),
        ({"optimal_paper": 0.0, "no_memory_paper": 0.0}, {"no_memory"}),
    ):
        table = pd.DataFrame([{"method": "one", **said, **costs, **changed}])
        found = checks.ticks(table, methods=["one"], spread=1.05)
        assert {one.name.split(", ")[1] for one in found if one.measured} == wrong


def test_replicas_that_all_give_one_number_say_nothing_about_its_error():
    on_a_grid = Evidence("", 0.8, test="t", replicas=12, error=0.0, degrees=11)
    assert statistics.p_holds(on_a_grid, Margin(high=1.0)) == 1.0
    assert statistics.p_fails(on_a_grid, Margin(high=0.5)) == 1.0
    same = statistics.paired_ratio("", [0.1, 0.2], [0.1, 0.2])
    assert same.test == "exact" and same.measured == 1.0


def test_replicas_of_one_schedule_count_once():
    same = np.repeat([0.0, 1.0, 2.0, 3.0], 3)
    clustered = statistics.mean_of("", same, clusters=np.repeat([0, 1, 2, 3], 3))
    assert clustered.error == pytest.approx(statistics.mean_of("", [0.0, 1.0, 2.0, 3.0]).error)
    assert clustered.degrees == 3
    assert clustered.replicas == 12


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=12))
def test_holm_rejects_in_order_and_never_more_than_unadjusted_tests(p_values):
    adjusted = statistics.holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    assert [adjusted[index] for index in np.argsort(p_values)] == sorted(adjusted)
    smallest = min(p_values)
    assert min(adjusted) == pytest.approx(min(1, len(p_values) * smallest))


def test_holm_gives_the_published_example():
    # Holm's procedure by hand: 4·.005, 3·.01, then the maximum with 2·.03 and 1·.04.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.floats(-3, 3), st.floats(0.01, 2), st.integers(2, 40))
def test_a_margin_holds_exactly_where_the_interval_lies_within(measured, error, degrees):
    one = Evidence("", measured, test="t", error=error, degrees=degrees)
    low, high = one.interval(0.95)
    margin = Margin(-1.0, 1.0)
    within = low > -1 and high < 1
    # two one-sided tests at 2.5 % are the 95 % interval
    assert (statistics.p_holds(one, margin) < 0.025 - 1e-9) <= within
    assert within <= (statistics.p_holds(one, margin) < 0.025 + 1e-9)


@given(st.floats(-3, 3), st.floats(0, 2))
def test_no_number_both_holds_and_fails(measured, error):
    one = Evidence("", measured, test="t", error=error, degrees=11)
    margin = Margin(-1.0, 1.0)
    assert not (statistics.p_holds(one, margin) <= 0.025 and statistics.p_fails(one, margin) <= 0.025)


def test_intervals_cover_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(0)
    samples = generator.standard_normal((4000, 12)) + 1
    ends = [statistics.mean_of("", row).interval(0.95) for row in samples]
    covered = np.mean([low <= 1 <= high for low, high in ends])
    # binomial standard error .0034: four of them
    assert covered == pytest.approx(0.95, abs=0.014)


def test_a_true_claim_on_its_margin_is_said_to_hold_rarely():
    generator = np.random.default_rng(1)
    margin = Margin(high=0.0)
    said = [
        statistics.p_holds(statistics.mean_of("", row), margin) <= 0.025
        for row in generator.standard_normal((4000, 12))
    ]
    # binomial standard error .0025: four of them
    assert np.mean(said) == pytest.approx(0.025, abs=0.01)


def test_instances_must_all_lie_within_the_margin():
    inside = statistics.from_extremes("", 1.0, 0.97, 1.04, 12)
    astride = statistics.from_extremes("", 1.0, 0.97, 1.06, 12)
    outside = statistics.from_extremes("", 1.2, 1.1, 1.3, 12)
    margin = Margin(0.95, 1.05)
    assert statistics.p_holds(inside, margin) == 2.0**-12
    assert statistics.p_holds(astride, margin) == statistics.p_fails(astride, margin) == 1
    assert statistics.p_fails(outside, margin) == 2 * 2.0**-12


def test_the_paired_ratio_is_more_precise_than_its_parts():
    common = np.exp(np.random.default_rng(0).standard_normal(12))
    one = statistics.paired_ratio("", 2 * common, common)
    assert one.measured == pytest.approx(2)
    assert one.interval(0.95) == pytest.approx((2, 2))


def test_a_replica_that_diverged_decides_nothing():
    one = statistics.paired_ratio("", [1.0, np.nan, 1.0], [2.0, 2.0, 2.0])
    margin = Margin(high=1.0)
    assert statistics.p_holds(one, margin) == statistics.p_fails(one, margin) == 1


def test_more_replicas_decide_what_was_said_to_be_undecided():
    margin = Margin(high=1.0)
    one = Evidence("", 0.9, test="t", replicas=12, error=0.06, degrees=11)
    needed = statistics.replicas_needed(one, margin, level=0.025, power=0.8)
    # with the same spread the error shrinks like the root of their number
    later = Evidence("", 0.9, test="t", replicas=needed, error=0.06 * math.sqrt(12 / needed), degrees=needed - 1)
    assert statistics.p_holds(one, margin) > 0.025 > statistics.p_holds(later, margin)


def settings_with(tmp_path, **changes) -> Path:
    import yaml

    settings = yaml.safe_load((ROOT / "config/claims.yaml").read_text())
    settings["claims"][0] |= changes
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(settings, allow_unicode=True))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"check": "wishful"}, "check must be one of"),
        ({"test": "vote"}, "claims.0.test: 'vote' is not one of"),
        ({"margin": {}}, "margin"),
        ({"verdict": "holds"}, "paired_seeds: got an unexpected keyword argument 'verdict'"),
        ({"check": "spread"}, "spread: "),
        ({"where": "Theorem 9"}, "where"),
        ({"id": "theorem_4_1"}, "two rows have the id theorem_4_1"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        claims.read_claims(settings_with(tmp_path, **changes), SCHEMA)
    assert "\n" not in str(error.value)


def test_a_check_whose_inference_is_not_the_stated_one_is_refused():
    claim = CLAIMS["slow_owners"] | {"test": "sign"}
    product = forged(claim, list(real_product(claim["product"])), 0.5)
    with pytest.raises(ValueError, match="slow_owners: test is 'sign', but the check gives 't'"):
        claims.judge(SETTINGS | {"claims": [claim]}, {claim["product"]: product})


@pytest.fixture(scope="module")
def some():
    """Entries of four claims: one fails, one has no product, two hold, one of them with sampling error."""
    names = ["theorem_4_1", "minibatch_waits", "slow_owners", "gathering"]
    targets = dict(zip(names, (0.3, 2.0, 0.5, 1.0), strict=True))
    chosen = [claim for claim in SETTINGS["claims"] if claim["id"] in names]
    products = {
        claim["product"]: forged(claim, list(real_product(claim["product"])), targets[claim["id"]])
        for claim in chosen
        if claim["id"] != "gathering"
    }
    return claims.judge(SETTINGS | {"claims": chosen}, products)


def test_the_written_ledger_has_failures_on_top_then_the_order_of_the_paper(some, tmp_path, capsys):
    writing.save(some, SETTINGS, "laptop", tmp_path / "claims")
    table = pd.read_csv(tmp_path / "claims.csv")
    text = (tmp_path / "claims.md").read_text()
    assert table["id"].tolist() == ["minibatch_waits", "theorem_4_1", "gathering", "slow_owners"]
    assert table["verdict"].tolist() == ["fails", "holds", "inconclusive", "holds"]
    assert table["where"].tolist() == ["Table 1", "Theorem 4.1", "Figure 2(b)", "ours"]
    first = text[: text.index("## What is measured")]
    order = ["**Fails**", "minibatch_waits", "**Inconclusive**", "gathering", "**Theorem 4.1**", "theorem_4_1"]
    order += ["**Ours**", "slow_owners"]
    places = [first.index(words) for words in order]
    assert places == sorted(places)
    assert "**holds** (p < 1e-6)" in first and "`snakemake figure_s3 && make compare`" in first
    widths = {line.count(" | ") for line in first.splitlines() if line.startswith("|")}
    assert widths == {4}, "a table of five columns"
    for entry in some:
        assert f"### {entry.claim['id']}: {entry.verdict}" in text
        assert entry.claim["why"] in text and entry.claim["statistic"] in text
        assert all(one.name in text for one in entry.evidence)
    assert main(["print", str(tmp_path / "claims.csv")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[:-1]] == [[entry.verdict, entry.claim["id"]] for entry in some]
    assert "4 claims: 2 holds, 1 fails, 1 inconclusive." in printed[-1]


def test_printing_a_ledger_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(SystemExit, match="`snakemake claims` writes it"):
        main(["print", str(tmp_path / "claims.csv")])


def test_other_seeds_leave_tuning_and_instances_of_problems_alone():
    settings = {
        "tuning": {"seeds": [1000]},
        "reporting": {"seeds": [0, 1], "schedule_seeds": [0]},
        "problem": {"seed": 3},
        "cases": {"one": {"reporting": {"seeds": [5]}}},
        "instance_seeds": [0],
    }
    other = with_other_seeds(settings, 100)
    assert other == {
        "tuning": {"seeds": [1000]},
        "reporting": {"seeds": [100, 101], "schedule_seeds": [100]},
        "problem": {"seed": 3},
        "cases": {"one": {"reporting": {"seeds": [105]}}},
        "instance_seeds": [100],
    }
    assert with_other_seeds(settings, 0) == settings
