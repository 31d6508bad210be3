"""The flow ``promote``: a second person approves a promotion in Prefect's form, which then happens."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field
from sqlalchemy import Connection

from stence import registry
from stence.database.outage import transact
from stence.errors import RegistryError
from stence.flows import news
from stence.flows.discretion import library_logs
from stence.flows.workplace import dated, open_workplace
from stence.registry import approvals

FORM_SECONDS = 14 * 24 * 3600
"""Time in which the form can be filled in."""


class Decision(RunInput):
    """The form. Its reason is kept in Prefect and in the audit, and must name no patient."""

    approve: bool = Field(description="Yes: the model becomes champion. No: the request is refused.")
    name: str = Field(min_length=1, max_length=200, description="Your name; not that of the requester.")
    reason: str = Field(min_length=1, max_length=2000, description="Why; without patient identifiers.")


@flow(name="promote", flow_run_name=dated("promote"), persist_result=False)
def promote(version: str) -> dict[str, Any]:
    """Wait for the approval of the requested promotion of ``version``, then promote it; return the outcome.

    Resume the run in Prefect's UI, which shows the form.
    """
    with library_logs(), open_workplace() as place:
        transact(place.engine, place.settings.outage_seconds, check_request, version)
    decision = suspend_flow_run(wait_for_input=Decision, timeout=FORM_SECONDS, key="decision")
    with library_logs(), open_workplace() as place:
        done = transact(place.engine, place.settings.outage_seconds, decide, version, decision)
    if done is None:
        get_run_logger().warning("the promotion of %s is refused", version)
        return {"outcome": "refused", "version": version}
    news.tell_model("promoted", version, opened=done.opened, withdrawn=done.withdrawn)
    return {"outcome": "promoted", "version": version}


def check_request(connection: Connection, version: str) -> None:
    """Raise RegistryError unless a request waits for its answer."""
    if approvals.last_event(connection, version) != "requested":
        raise RegistryError(f"No promotion of {version} is requested: stence models request comes first.")


def decide(connection: Connection, version: str, decision: Decision) -> registry.Succession | None:
    """Record the answer; promote an approved model, and return the change of champion."""
    by, why = decision.name, decision.reason
    approvals.answer(connection, version, approve=decision.approve, by=by, why=why)
    if not decision.approve:
        return None
    return registry.promote(connection, version, by=by, why=why, two_people=True)
