"""The ledger: its statistics, and that counterfeit products are told from honest ones."""

import copy
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from counterfeits import COUNTERFEITS, honest
from hypothesis import given
from hypothesis import strategies as st

from rasgd import claims
from rasgd.claims import statistics, writing
from rasgd.claims.__main__ import main
from rasgd.claims.statistics import Evidence, Margin
from rasgd.experiments.seeds import with_other_seeds

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "workflow/schemas/claims.schema.yaml"
SETTINGS = claims.read_claims(ROOT / "config/claims.yaml", SCHEMA)
IDS = [claim["id"] for claim in SETTINGS["claims"]]


def verdicts(products: dict) -> dict[str, str]:
    return {entry.claim["id"]: entry.verdict for entry in claims.judge(SETTINGS, products)}


@pytest.fixture(scope="module")
def verdicts_on_counterfeits() -> dict:
    found = {}
    for falsify in COUNTERFEITS:
        products = honest()
        falsify(products)
        found[falsify] = verdicts(products)
    return found


def test_every_claim_holds_on_honest_products():
    assert verdicts(honest()) == dict.fromkeys(IDS, "holds")


@pytest.mark.parametrize(
    ("falsify", "name"),
    [(falsify, name) for falsify, broken in COUNTERFEITS.items() for name in broken],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_counterfeit_fails_the_claims_it_breaks(verdicts_on_counterfeits, falsify, name):
    assert verdicts_on_counterfeits[falsify][name] == "fails"


def test_every_claim_is_broken_by_some_counterfeit():
    assert set().union(*COUNTERFEITS.values()) == set(IDS)


def test_without_products_every_claim_is_inconclusive_and_says_what_is_missing():
    for entry in claims.judge(SETTINGS, {}):
        assert entry.verdict == "inconclusive"
        assert entry.reason == f"{entry.claim['products'][0]} is not there"


@pytest.mark.parametrize("name", sorted(honest()))
def test_a_product_without_rows_leaves_its_claims_inconclusive(name):
    products = honest()
    products[name] = products[name].iloc[:0]
    found = verdicts(products)
    mine = [claim["id"] for claim in SETTINGS["claims"] if name in claim["products"]]
    assert [found[one] for one in mine] == ["inconclusive"] * len(mine)


@pytest.mark.parametrize("name", sorted(honest()))
def test_no_single_missing_method_stops_the_ledger(name):
    table = honest()[name]
    for method in table["method"].unique() if "method" in table else []:
        products = honest() | {name: table[table["method"] != method]}
        assert set(verdicts(products).values()) <= {"holds", "inconclusive"}


def test_too_few_seeds_leave_a_claim_inconclusive():
    products = honest()
    table = products["figure_s10_slow_owners_by_seed"]
    products["figure_s10_slow_owners_by_seed"] = table[table["seed"] < 3]
    (entry,) = [entry for entry in claims.judge(SETTINGS, products) if entry.claim["id"] == "slow_owners"]
    assert entry.verdict == "inconclusive"
    assert entry.reason == "3 replicas, at least 12 are asked for"
    assert entry.needed == 12


def test_an_undecided_claim_says_how_many_seeds_would_decide():
    products = honest()
    times = products["table_s1_time_to_target"]
    times.loc[times["method"] == "ringleader", "ratio"] = 1 / 1.23  # within 1.25, by two standard errors
    (entry,) = [entry for entry in claims.judge(SETTINGS, products) if entry.claim["id"] == "competitive_noise"]
    assert entry.verdict == "inconclusive"
    assert entry.decisive.name.startswith("ringleader")
    assert 12 < entry.needed < 200


def test_a_target_that_a_method_does_not_reach_decides_nothing_about_competition():
    products = honest()
    times = products["table_s1_time_to_target"]
    times.loc[times["method"] == "ia2sgd", "time"] = math.inf
    assert verdicts(products)["competitive_noise"] == "inconclusive"


def test_a_target_that_rescaled_does_not_reach_fails():
    products = honest()
    times = products["table_s1_time_to_target"]
    times.loc[times["method"] == "rescaled", ["time", "time_exact"]] = math.inf
    assert verdicts(products)["competitive_noise"] == "fails"
    # a horizon that is hardly longer than another's time leaves open by how much it is missed
    times["horizon"] = 480.0
    assert verdicts(products)["competitive_noise"] == "inconclusive"


def test_exact_times_decide_where_both_are_known():
    products = honest()
    times = products["table_s1_time_to_target"]
    times.loc[times["method"] == "malenia", "time_exact"] = 300.0  # Rescaled ASGD takes 404 s
    (entry,) = [entry for entry in claims.judge(SETTINGS, products) if entry.claim["id"] == "competitive_noise"]
    assert entry.verdict == "fails" and entry.decisive.name.startswith("malenia")
    assert entry.decisive.measured == pytest.approx(404 / 300)


def test_replicas_that_all_give_one_number_say_nothing_about_its_error():
    on_a_grid = Evidence("", 0.8, test="t", replicas=12, error=0.0, degrees=11)
    assert statistics.p_holds(on_a_grid, Margin(high=1.0)) == 1.0
    assert statistics.p_fails(on_a_grid, Margin(high=0.5)) == 1.0
    same = statistics.paired_ratio("", [0.1, 0.2], [0.1, 0.2])
    assert same.test == "exact" and same.measured == 1.0


@pytest.mark.parametrize(
    ("name", "column", "rows", "claim"),
    [
        ("figure_s4_time_to_target", "value", {"panel": "rescaled", "series": "spread"}, "mean_time_leads"),
        ("figure_s4_time_to_target", "value", {"panel": "rescaled", "series": "spread"}, "four_terms_bound"),
        ("figure_s4_time_to_target", "value", {"panel": "staleness"}, "effects_shrink_with_epsilon"),
    ],
)
def test_a_number_that_is_missing_leaves_a_claim_inconclusive(name, column, rows, claim):
    products = honest()
    table = products[name]
    chosen = np.logical_and.reduce([table[key] == value for key, value in rows.items()])
    table.loc[chosen, column] = np.nan
    assert verdicts(products)[claim] == "inconclusive"


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
        ({"verdict": "holds"}, "unknown key verdict"),
        ({"id": "no_memory"}, "two rows have the id no_memory"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        claims.read_claims(settings_with(tmp_path, **changes), SCHEMA)
    assert "\n" not in str(error.value)


def test_a_check_whose_inference_is_not_the_stated_one_is_refused():
    settings = copy.deepcopy(SETTINGS)
    for claim in settings["claims"]:
        if claim["id"] == "slow_owners":
            claim["test"] = "sign"
    with pytest.raises(ValueError, match="slow_owners: test is 'sign', but the check gives 't'"):
        claims.judge(settings, honest())


def test_the_written_ledger_has_one_row_per_claim_and_all_numbers(tmp_path, capsys):
    products = honest()
    next(iter(COUNTERFEITS))(products)
    entries = claims.judge(SETTINGS, products)
    writing.save(entries, SETTINGS, "laptop", tmp_path / "claims")
    table = pd.read_csv(tmp_path / "claims.csv")
    text = (tmp_path / "claims.md").read_text()
    assert table["id"].tolist() == IDS
    assert table["verdict"].tolist() == [entry.verdict for entry in entries]
    for entry in entries:
        assert f"### {entry.claim['id']}: {entry.verdict}" in text
        assert entry.claim["why"] in text
        assert all(one.name in text for one in entry.evidence)
    assert main(["print", str(tmp_path / "claims.csv")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[:-1]] == [[entry.verdict, entry.claim["id"]] for entry in entries]
    count = sum(entry.verdict == "fails" for entry in entries)
    assert f"{count} fails" in printed[-1]


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
