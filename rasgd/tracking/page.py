"""The page of an experiment in MLflow: its description, and ready-made comparisons of the methods.

MLflow keeps comparisons as tags of the experiment, in a format that it does not document: `shows_views` says where it
is known to work. Without them the page has the same runs, and the description says how to compare.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from rasgd.tracking.records import RUNS_PER_COMPARISON, Record

VIEW_KEY = "rasgd_"  # begins the key of our views; those that people save themselves have others
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
LONGEST_TAG = 5000  # characters that MLflow keeps
LINE_CHARTS = 6  # at most
BAR_CHARTS = (
    "effective_weight_error",
    "idle_seconds",
    "wasted_gradients",
    "server_vectors",
    "delay_mean",
    "num_updates",
)


def shows_views(version: str) -> bool:
    """Whether this version of MLflow lists named views; seen in 3.17."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return major == 3 and minor >= 17


def view_path(experiment_id: str, case: str) -> str:
    """Where the comparison of a case is, below the address of an MLflow server."""
    query = f"compareRunsMode=CHART&viewStateShareKey={VIEW_KEY}{case}&workflowType=machine_learning"
    return f"#/experiments/{experiment_id}/runs?{query}"


def experiment_tags(
    title: str,
    command: str,
    cases: dict[str, str],
    paths_to_captions: Sequence[Path],
    records: Sequence[Record],
    experiment_id: str,
    run_ids: dict[str, str],
    version: str,
) -> dict[str, str]:
    """Tags that make the page.

    Args:
        title, command: of the experiment, and what makes its results.
        cases: label by case.
        paths_to_captions: captions of figures, beside whose figures they stand, and tables; both Markdown.
        records: of the experiment.
        experiment_id, run_ids: what MLflow calls the experiment and its runs, by run key.
        version: of MLflow.
    """
    compared = {
        case: [record for record in records if record.tags.get("comparison") == case]
        for case in cases
        if shows_views(version)
    }
    links = {cases[case]: view_path(experiment_id, case) for case in compared}
    tags = {
        "mlflow.note.content": note(
            title, command, links, paths_to_captions, run_ids.get("summary"), trained=bool(cases)
        ),
        "mlflow.experimentKind": "custom_model_development",
        "num_methods": str(len({record.params["method"] for record in records if "method" in record.params})),
    }
    for case, mine in compared.items():
        tags[VIEW_TAG + case] = named_view(cases[case], view_state(case, mine))
    return tags


def note(
    title: str,
    command: str,
    links: dict[str, str],
    paths_to_captions: Iterable[Path],
    summary_run: str | None,
    trained: bool = True,
) -> str:
    """The description at the head of the page; folded up, it shows its first line."""
    head = [f"**{title}** · made by `{command}`"]
    if links:
        head.append("Methods compared: " + " · ".join(f"[{label}]({path})" for label, path in links.items()))
    tail = []
    if trained:
        tail.append(
            "Every reported run is one method with one seed; to compare methods by hand, filter by "
            "`tags.role = 'reporting'`, group by `method`, and choose the metric `sim_time` (simulated seconds) as "
            "X-axis. Tried step sizes are the runs with `tags.role = 'tuning'`."
        )
    shown = [described(path, summary_run) for path in paths_to_captions]
    while len(text := "\n\n".join(head + shown + tail)) > LONGEST_TAG and shown:
        shown.pop()
        tail[trained:] = ["More figures and tables are artifacts of the run `figures and tables`."]
    return text


def described(path_to_caption: Path, summary_run: str | None) -> str:
    """A figure above its caption, or a table."""
    text = path_to_caption.read_text().strip()
    if not path_to_caption.with_suffix(".png").is_file():
        return text
    name = path_to_caption.stem
    return f"![{name}](get-artifact?path={name}.png&run_uuid={summary_run})\n\n{text}"


def named_view(name: str, state: dict) -> str:
    """The text of a view's tag. MLflow shows the name in its menu of views."""
    packed = "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    # MLflow wants a moment; a fixed one keeps imports identical.
    return json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": packed}, ensure_ascii=False)


def view_state(case: str, records: Sequence[Record]) -> dict:
    """Which runs are shown, how they are grouped, and in which charts.

    Args:
        case: of the experiment.
        records: those that are compared.
    """
    backends = {record.params["backend"] for record in records}
    grouped_by = ["method", "backend"] if len(backends) > 1 else ["method"]
    groups = {",".join(f"param.{name}.{record.params[name]}" for name in grouped_by) for record in records}
    return {
        "searchFilter": f"tags.comparison = '{case}'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [f"params.`{name}`" for name in ("method", "step_size", "seed", "target")],
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "param", "groupByData": name} for name in grouped_by],
        },
        "groupsExpanded": dict.fromkeys(sorted(groups), False),
        "useGroupedValuesInCharts": True,
        "autoRefreshEnabled": False,
        "compareRunCharts": charts(records),
        "compareRunSections": [
            section("curves", "Mean over seeds against simulated seconds", columns=2, height=460),
            section("bars", "What the method did to its workers and its server", columns=3, height=360),
        ],
    }


def charts(records: Sequence[Record]) -> list[dict]:
    """A chart for every curve, what is tuned for first, and for every statistic that is not zero everywhere."""
    names = list(dict.fromkeys(name for record in records for name in record.curves if name != "sim_time"))
    tuned_for = "grad_norm_sq" if any("target" in record.params for record in records) else "loss"
    names.sort(key=lambda name: (name != tuned_for, name not in ("loss", "grad_norm_sq")))
    bars = [name for name in BAR_CHARTS if any(record.metrics.get(name) for record in records)]
    return [line_chart(name, all_positive(name, records)) for name in names[:LINE_CHARTS]] + [
        chart("BAR", name, "bars") for name in bars
    ]


def all_positive(name: str, records: Sequence[Record]) -> bool:
    return all((record.curves[name] > 0).all() for record in records if name in record.curves)


def section(key: str, name: str, columns: int, height: int) -> dict:
    shown = {"display": True, "isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": key, "name": name, "columns": columns, "cardHeight": height, **shown}


def line_chart(metric: str, logarithmic: bool) -> dict:
    return chart("LINE", metric, "curves") | {
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
        "scaleType": "log" if logarithmic and "accuracy" not in metric else "linear",
        "xAxisScaleType": "linear",
        "useGlobalXaxisKey": False,
        "xAxisKey": "metric",
        "selectedXAxisMetricKey": "sim_time",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "displayPoints": False,
        "range": {},
    }


def chart(kind: str, metric: str, section_key: str) -> dict:
    return {
        "type": kind,
        "uuid": f"{section_key}-{metric}",
        "metricSectionId": section_key,
        "metricKey": metric,
        "displayName": metric,
        "runsCountToCompare": RUNS_PER_COMPARISON,
        "deleted": False,
        "isGenerated": False,
    }
