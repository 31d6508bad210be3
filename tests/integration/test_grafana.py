"""Every panel of the dashboard in ``deployments/grafana`` gets rows as ``stence_reader``."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

from sqlalchemy import Engine, text

from stence.resources import deployments_folder
from support.monitored import load_monitored

DASHBOARD = json.loads((deployments_folder() / "grafana" / "monitoring.json").read_text(encoding="utf-8"))
LAST = date(2026, 11, 23)


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def as_grafana_asks(sql: str, variables: dict[str, str]) -> str:
    """The SQL with Grafana's time filter and variables filled in."""
    between = r"\1 BETWEEN '2026-01-01T00:00:00Z' AND '2026-12-31T00:00:00Z'"
    filled = re.sub(r"\$__timeFilter\(((?:[^()]|\([^()]*\))+)\)", between, sql)
    for name, value in variables.items():
        filled = filled.replace(f"${name}", value)
    assert "$" not in filled, filled
    return filled


def test_every_panel_and_variable_gets_rows(engine: Engine) -> None:
    load_monitored(engine, LAST, days=10)
    variables: dict[str, str] = {}
    with engine.connect() as connection:
        connection.execute(text("SET ROLE NONE; SET ROLE stence_reader"))
        for variable in DASHBOARD["templating"]["list"]:
            if variable["type"] == "query":
                found = connection.exec_driver_sql(variable["query"]).scalars().all()
                variables[variable["name"]] = found[0]
        assert variables == {"model": "synthetic-2", "target": "lca_70"}
        asked = [(panel["title"], panel["targets"][0]) for panel in panels()]
        asked += [(each["name"], each["target"]) for each in DASHBOARD["annotations"]["list"]]
        for title, target in asked:
            result = connection.exec_driver_sql(as_grafana_asks(target["rawSql"], variables))
            if target["format"] == "time_series":
                assert next(iter(result.keys())) == "time", title
            assert result.first() is not None, title


def test_panels_have_names_and_a_place_of_their_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["title"] for panel in DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells
