"""The numeric form of a model version on a kind of device, in the append-only table ``model_forms``."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from stence.database.outage import transact
from stence.database.tables import model_forms
from stence.discretion import plain
from stence.errors import FormError
from stence.inference import FP32, Form, hindrance, library_of
from stence.models import RiskScorer
from stence.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MeasuredForm:
    """A form of a model version, measured against fp32 on this host.

    ``refused`` says why it may not score; None: it may. ``chosen``: it does from now on. ``shift`` is that of
    ``stence.inference.Form``, ``figures`` are the changes and the speed, as JSON.
    """

    device: str
    form: str
    library: str
    hardware: str
    figures: dict[str, Any]
    shift: list[float] | None = None
    refused: str | None = None
    chosen: bool = False

    def row(self) -> tuple[object, ...]:
        """Return form, speed, largest change, least rank correlation, changed flags, and the result."""
        largest, rank = (list(self.figures.get(name, {}).values()) for name in ("largest", "rank"))
        result = "chosen" if self.chosen else f"refused: {self.refused}" if self.refused else "may be chosen"
        figures = self.figures.get("speed"), max(largest, default=None), min(rank, default=None)
        return self.form, *figures, self.figures.get("flags"), result


def record_forms(
    connection: Connection, version: str, measured: list[MeasuredForm], *, by: str, why: str
) -> None:
    """Record measurements and the choice among them."""
    about = {"model_version": version, "decided_by": by, "reason": why}
    if measured:
        connection.execute(insert(model_forms).values([about | asdict(each) for each in measured]))


def chosen_form(connection: Connection, version: str, device: str) -> MeasuredForm | None:
    """Select the form last chosen for a version on a kind of device; None: none was, so fp32."""
    columns = [model_forms.c[name] for name in MeasuredForm.__dataclass_fields__]
    last = (
        select(*columns)
        .where(model_forms.c.model_version == version, model_forms.c.device == device, model_forms.c.chosen)
        .order_by(model_forms.c.id.desc())
        .limit(1)
    )
    found = connection.execute(last).mappings().one_or_none()
    return MeasuredForm(**found) if found else None


def in_chosen_form(engine: Engine, settings: Settings, scorer: RiskScorer) -> RiskScorer:
    """Return a scorer in the form chosen for its version and device.

    That is fp32, with a warning that says what to do, where this host cannot compute as it was measured.
    """
    found = transact(engine, settings.outage_seconds, chosen_form, scorer.model_version, scorer.device)
    if found is None or found.form == FP32:
        return scorer
    try:
        _check(found)
        form = Form(found.form, found.shift, form_cache(settings, scorer.model_version))
        return scorer.in_form(form)
    except FormError as error:
        log.warning(
            "%s scores in fp32 on this host, not in %s. %s",
            plain(scorer.model_version),
            plain(found.form),
            error,
        )
        return scorer


def form_cache(settings: Settings, version: str) -> Path:
    """Return the folder of a version's converted files. Versions never change, and name their weights."""
    return settings.data_dir / "forms" / version


def _check(found: MeasuredForm) -> None:
    if reason := hindrance(found.form, found.device):
        raise FormError(f"The form {found.form} cannot be used here: {reason}.")
    if (library := library_of(found.form, found.device)) != found.library:
        raise FormError(
            f"It was measured with {found.library}, and this host has {library}: run stence models optimise."
        )
