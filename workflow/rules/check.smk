# The ledger of claims, judged by figures and tables alone. Expects from the Snakefile: PRODUCTS, and FIGURES.
from rasgd import claims as ledger

CLAIMS = "config/claims.yaml"
CLAIMS_SCHEMA = f"{workflow.basedir}/workflow/schemas/claims.schema.yaml"
try:
    JUDGED_BY = ledger.product_names(ledger.read_claims(CLAIMS, CLAIMS_SCHEMA))
except ValueError as error:
    sys.exit(f"error: {error}")
# A product that is not made here leaves its claims inconclusive.
MADE = {name for product in PRODUCTS for name in product_files(product)}
JUDGED_BY = [name for name in JUDGED_BY if f"{FIGURES}/{name}.csv" in MADE]


rule claims:
    input:
        settings=CLAIMS,
        products=[f"{FIGURES}/{name}.csv" for name in JUDGED_BY],
    output:
        **{
            Path(path).suffix[1:]: report(
                path, caption="../report/caption.rst", category="Claims", labels={"file": path}
            )
            for path in LEDGER
        },
    log:
        f"{RESULTS}/logs/claims.log",
    conda:
        "../../environment.yml"
    params:
        schema=CLAIMS_SCHEMA,
        available=JUDGED_BY,
        scale=config["scale"],
        caption="What the paper claims, what was measured, and whether that holds.",
        code=script_code("claims"),
    message:
        "Judging the claims by figures and tables"
    script:
        "../scripts/claims.py"


rule verify:
    input:
        claims=f"{FIGURES}/claims.csv",
    log:
        f"{RESULTS}/logs/verify.log",
    conda:
        "../../environment.yml"
    params:
        scale=config["scale"],
    message:
        "Printing the ledger; a claim that fails fails this"
    shell:
        "python -m rasgd.claims print {input.claims:q} && "
        "python -m pytest -q --tb=line -p no:cacheprovider --override-ini addopts= tests/claims "
        "--ledger {input.claims:q} --scale {params.scale} 2>&1 | tee {log:q}"
