"""News as Prefect events, for automations: changes of models, new flags by their number; never a patient."""

from __future__ import annotations

from prefect.events import emit_event

from stence.scoring import RunSummary


def tell_model(change: str, version: str, **counts: int) -> None:
    """Emit that a model is registered, in shadow, rejected, requested, promoted or rolled_back to.

    ``counts`` are flags that were withdrawn or opened by the change.
    """
    _emit(f"stence.model.{change}", f"stence.model.{version}", version, **counts)


def tell_flags(summary: RunSummary) -> None:
    """Emit the number of flags that a run raised, if it raised any."""
    flags = sum(summary.flagged.values())
    if flags:
        version = summary.model_version
        _emit("stence.flags.raised", f"stence.flags.{version}", version, flags=flags)


def _emit(event: str, resource: str, version: str, **counts: int) -> None:
    emit_event(
        event,
        resource={"prefect.resource.id": resource, "prefect.resource.name": version},
        payload={"version": version, **counts},
    )
