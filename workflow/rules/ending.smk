# What a run says when it has ended. Expects from the Snakefile: FIGURES, the folder of the products, and RESULTS.
import time

STARTED = time.time()


def made_since(moment):
    """Names of the figures, tables and ledgers whose files are newer than a moment, in seconds since 1970."""
    fresh = [path for path in Path(FIGURES).glob("*.csv") if path.stat().st_mtime >= moment]
    return sorted(path.stem for path in fresh if not path.stem.endswith("_by_seed"))


def duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def summary(made, seconds):
    """What was made, where, how long it took, and what to look at next; one line each."""
    lines = [f"Finished in {duration(seconds)}."]
    if made:
        lines.append(f"Made in {FIGURES}/: {', '.join(made)}.")
    else:
        lines.append(f"No figure or table was remade; what jobs wrote is in {RESULTS}/.")
    if "claims" in made:
        lines.append(f"Verdicts on the claims: {FIGURES}/claims.md")
    if config["scale"] != "smoke":
        lines.append("Next: `make compare` says whether the numbers are the committed ones, `make ui` shows the runs,")
        lines.append("      `make report` writes all figures and tables into one HTML page.")
    return "\n".join(lines)


onsuccess:
    print(summary(made_since(STARTED), time.time() - STARTED), file=sys.stderr)


onerror:
    print(
        f"Stopped after {duration(time.time() - STARTED)}: a job failed. Its message stands above, its log is in "
        f"{RESULTS}/logs/; `snakemake` goes on from here.",
        file=sys.stderr,
    )
