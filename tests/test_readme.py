"""What the README shows is what the project has."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)


def test_the_academic_twin_is_the_one_that_is_tested():
    twin = (ROOT / "tests/academic_twin.py").read_text()
    shown = next(code for language, code in BLOCKS if language == "python" and "def rescaled_asgd" in code)
    assert shown.strip() == twin.split('"""\n', 1)[1].strip()
    assert len(shown.splitlines()) <= 40


def test_the_first_example_runs_and_its_comments_are_true():
    example = next(code for language, code in BLOCKS if language == "python")
    names = {}
    exec(example, names)
    rasgd, problem = names["rasgd"], names["problem"]
    vanilla = rasgd.simulate(problem, "asgd", [1.0, 2.0, 6.0], 0.02, until=500.0)
    # up to the horizon, which is no multiple of the cycle of 6 s: a share is off by at most a step in Σ⌊500/τ⌋τ ≈ 1494
    assert names["t"].effective_weights == pytest.approx([1 / 3] * 3, abs=6 / 1494)
    assert vanilla.effective_weights == pytest.approx([0.6, 0.3, 0.1], abs=1 / 833)


def test_every_make_target_it_names_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets


def test_every_snakemake_target_and_file_it_names_exists():
    products = (ROOT / "config/products.yaml").read_text()
    experiments = {path.stem for path in ROOT.glob("config/*/*.yaml")}
    named = [word for words in re.findall(r"snakemake ([a-z_0-9 ]+)", README) for word in words.split()]
    for name in named:
        assert name in experiments or re.search(rf"^{name}_", products, re.M) or name == "conda", name
    prose = re.sub(r"```.*?```", "", README, flags=re.S)
    for link in re.findall(r"\]\((?!http|#)([^)]+)\)", prose):
        assert (ROOT / link).exists(), link
