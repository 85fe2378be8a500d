"""Captions: one for every product, known before anything has run."""

import re
import subprocess
import sys

import pytest
from figure_tables import ROOT, SCRIPTS, SETTINGS

from rasgd.experiments import settings as experiment
from rasgd.figures import captions, saving


@pytest.mark.parametrize("scale", experiment.SCALES)
@pytest.mark.parametrize("product", captions.CAPTIONS)
def test_every_caption_names_its_item_and_scale_and_has_a_latex_form(product, scale):
    text = captions.caption(product, SETTINGS[scale], scale)
    kind, number, _ = product.split("_", 2)
    assert text.startswith(f"{kind.capitalize()} {number}: ") and text.endswith(f"Scale: {scale}.")
    assert saving.text_latex(text).isascii()


def test_every_product_has_a_caption_a_rule_and_a_script():
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    listed = re.findall(r'^    "((?:figure|table)_\d+_\w+)": \[', rules, re.M)
    assert sorted(listed) == sorted(captions.CAPTIONS)
    assert set(listed) <= set(re.findall(r"^rule (\w+):", rules, re.M))
    assert set(listed) <= {path.stem for path in SCRIPTS.iterdir()}


def test_captions_are_written_without_importing_anything_heavy():
    # They are needed whenever the workflow is parsed, also by every job of a cluster.
    code = "import sys, rasgd.figures.captions; print({'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.stdout == "set()\n"
