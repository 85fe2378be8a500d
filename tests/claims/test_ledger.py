"""What must be true of a ledger; run by `snakemake verify` on the products, not by `make test`."""

import pandas as pd
import pytest

from rasgd.claims import read_claims


@pytest.fixture
def settings():
    return read_claims("config/claims.yaml", "workflow/schemas/claims.schema.yaml")


@pytest.fixture
def ledger(request) -> pd.DataFrame:
    return pd.read_csv(request.config.getoption("ledger"))


def test_no_claim_fails(claim):
    measured = f"{claim['statistic']}: {claim['measured']:.4g} [{claim['low']:.4g}, {claim['high']:.4g}]"
    margin = f"margin {claim['margin_low']:.4g} to {claim['margin_high']:.4g}"
    assert claim["verdict"] != "fails", f"{claim['claim']} {measured}, {margin} ({claim['decisive']})"


def test_the_ledger_has_every_claim_once(ledger, settings):
    assert ledger["id"].tolist() == [claim["id"] for claim in settings["claims"]]


def test_an_undecided_claim_says_why(ledger):
    undecided = ledger[ledger["verdict"] == "inconclusive"]
    assert undecided["reason"].notna().all()


def test_few_claims_are_undecided(request, ledger, settings):
    if request.config.getoption("scale") == "smoke":
        pytest.skip("smoke scale has too few seeds and too large targets to decide")
    undecided = ledger.loc[ledger["verdict"] == "inconclusive", "id"].tolist()
    assert len(undecided) <= settings["max_inconclusive"], undecided
