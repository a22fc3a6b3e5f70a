"""The alert rules, the dashboard and the list of metrics: they load, and speak of metrics that there are."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from unit.monitored import PREFIX, Monitored
from unit.workers import job

from sharepoint_proxy import metrics
from sharepoint_proxy.errors import Subject
from sharepoint_proxy.events import Kind
from sharepoint_proxy.messages import Taken
from sharepoint_proxy.records import Action, Outcome, Reconciled, State

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "docs" / "monitoring"
ALERTS = MONITORING / "alerts.yml"
README = MONITORING / "README.md"
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
GRID_COLUMNS = 24
SUFFIXES: Mapping[str, tuple[str, ...]] = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
NAME = re.compile(r"\b(?:sharepoint_proxy|process|python)_\w+")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is absent; Debian has it in the package prometheus."
)


def families() -> list[Metric]:
    """What the page shows once everything has happened."""
    service = Monitored(reconciled=Reconciled(at=1.0, seconds=1.0), lag={0: 1})
    service.metrics.took(Taken.RECORDED)
    service.metrics.answered(["created"], status=204, seconds=0.1)
    service.metrics.graph_answered("GET", "/v1.0/drives/1/root", 200)
    service.metrics.ended(job("a"), Outcome(state=State.SETTLED, action=Action.UPLOADED), 0.1)
    return list(text_string_to_metric_families(service.page()))


FAMILIES = families()
NAMES = {family.name + suffix for family in FAMILIES for suffix in SUFFIXES.get(family.type, ("",))}


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels and rows."""
    return list(DASHBOARD["panels"])


def dashboard_expressions() -> list[str]:
    """The queries of all panels, with Grafana's variables replaced by what it would put in."""
    written = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    return [expression.replace("$__rate_interval", "5m").replace("$instance", ".*") for expression in written]


def alert_expressions() -> list[str]:
    """The conditions of all alerts."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def values_of(document: object, name: str) -> Iterator[Any]:
    """Every value that stands under NAME, however deep."""
    if isinstance(document, dict):
        yield from (value for key, value in document.items() if key == name)
    if isinstance(document, dict | list):
        for part in document.values() if isinstance(document, dict) else document:
            yield from values_of(part, name)


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of promtool, which says on stdout what it did."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)


def table() -> str:
    """The metrics of the service as the README lists them."""
    ours = [family for family in FAMILIES if family.name.startswith(PREFIX)]
    return "\n".join(
        ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *(_line(family) for family in ours)]
    )


def _line(family: Metric) -> str:
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = dict.fromkeys(f"`{label}`" for sample in family.samples for label in sample.labels if label != "le")
    return f"| `{name}` | {family.type} | {', '.join(labels)} | {family.documentation} |"


@needs_promtool
def test_prometheus_takes_the_alert_rules() -> None:
    checked = promtool("check", "rules", str(ALERTS))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_promtool
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    played = promtool("test", "rules", str(Path(__file__).with_name("alerts_test.yml")))
    assert played.returncode == 0, played.stdout + played.stderr


@needs_promtool
def test_prometheus_understands_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(dashboard_expressions())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")

    checked = promtool("check", "rules", str(file))

    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_promtool
def test_prometheus_takes_the_configuration_that_the_readme_shows(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(shown, encoding="utf-8")
    shutil.copy(ALERTS, tmp_path)

    checked = promtool("check", "config", str(tmp_path / "prometheus.yml"))

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "rules found" in checked.stdout


def test_every_alert_is_played() -> None:
    played = Path(__file__).with_name("alerts_test.yml").read_text(encoding="utf-8")
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8"))
    assert [alert for alert in alerts if f'alertname="{alert}"' not in played] == []


@pytest.mark.parametrize("expression", alert_expressions())
def test_an_alert_asks_for_metrics_that_there_are(expression: str) -> None:
    assert set(NAME.findall(expression)) <= NAMES


@pytest.mark.parametrize("expression", dashboard_expressions())
def test_a_panel_asks_for_metrics_that_there_are(expression: str) -> None:
    asked = set(NAME.findall(expression))
    assert asked
    assert asked <= NAMES


def test_the_dashboard_shows_every_metric() -> None:
    """A histogram by one of its series; not the pause of this moment, whose seconds are shown, nor a setting."""
    shown = {name for expression in dashboard_expressions() for name in NAME.findall(expression)}
    ours = {family.name: family for family in FAMILIES if family.name.startswith(PREFIX)}
    hidden = {
        name
        for name, family in ours.items()
        if shown.isdisjoint(name + suffix for suffix in SUFFIXES.get(family.type, ("",)))
    }
    assert hidden == {f"{PREFIX}graph_pause_seconds", f"{PREFIX}reconcile_interval_seconds"}


def test_a_panel_has_a_number_of_its_own() -> None:
    numbers = [panel["id"] for panel in panels()]
    assert len(set(numbers)) == len(numbers)


def test_panels_do_not_lie_on_each_other() -> None:
    places = sorted((p["gridPos"]["y"], p["gridPos"]["x"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in panels())
    for (y, x, width, height), (next_y, next_x, next_width, _) in pairwise(places):
        assert next_x + next_width <= GRID_COLUMNS
        assert next_x >= x + width if next_y == y else next_y >= y + height


def test_every_panel_says_what_it_shows() -> None:
    silent = [panel["title"] for panel in panels() if panel["type"] != "row" and not panel["description"].endswith(".")]
    assert silent == []


def test_the_dashboard_asks_whichever_data_source_is_chosen() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}

    assert variables["datasource"]["type"] == "datasource"
    assert {source["uid"] for source in values_of(DASHBOARD, "datasource")} == {"${datasource}"}


def test_a_metric_is_named_and_explained_as_prometheus_has_it() -> None:
    for family in FAMILIES:
        if family.name.startswith(PREFIX):
            assert re.fullmatch(r"[A-Z].*\.", family.documentation), family.name


def test_the_list_of_metrics_is_complete() -> None:
    """If not, put what this prints in the place of the table."""
    assert table() in README.read_text(encoding="utf-8"), table()


def test_the_list_of_words_in_labels_is_complete() -> None:
    calls = {*metrics._UPLOAD_URL_CALLS.values(), *metrics._ITEM_CALLS.values(), *metrics._PART_CALLS.values()}
    words = {
        *Kind,
        "rejected",
        *State,
        *Action,
        *Taken,
        *Subject,
        *calls,
        "find_item",
        "site",
        "drive",
        "other",
        "none",
    }
    listed = README.read_text(encoding="utf-8").partition("Words in labels")[2]
    assert [word for word in words if f"`{word}`" not in listed] == []
