"""Options that say which ledger is looked at; `snakemake verify` sets them."""


def pytest_addoption(parser):
    parser.addoption("--ledger", default="paper_figures/claims.csv", help="CSV file of the ledger")
    parser.addoption("--scale", default="laptop", help="at which it was made: smoke, laptop or paper")


def pytest_generate_tests(metafunc):
    if "claim" in metafunc.fixturenames:
        import pandas as pd

        rows = pd.read_csv(metafunc.config.getoption("ledger")).to_dict("records")
        metafunc.parametrize("claim", rows, ids=[row["id"] for row in rows])
