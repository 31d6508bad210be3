"""Verification sample: a small random share of the patients without a flag, proposed for an examination.

Patients without a flag are hardly ever referred in some hospitals. Then nothing is known of them, and no
weight mends that. A draw with a known probability does (two-phase sampling: Horvitz & Thompson 1952; for
diagnostic tests Begg & Greenes 1983).
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, Engine, func, select

from stence.database import queries
from stence.database.outage import transact
from stence.database.tables import models, verification_draws, verification_sample
from stence.settings import Settings


def propose(engine: Engine, settings: Settings) -> int:
    """Draw from the ECGs that the champion scored since the last draw; return the number of patients drawn.

    Nothing is drawn while ``settings.verification_per_1000`` is 0 or no model is champion. The seed is made
    at the first draw and stored, so that a repeated draw proposes the same patients. Raises
    DatabaseUnavailableError.
    """
    if not settings.verification_per_1000:
        return 0
    return transact(engine, settings.outage_seconds, _draw, settings.verification_per_1000 / 1000)


def _draw(connection: Connection, share: float) -> int:
    champion = connection.scalar(select(models.c.version).where(models.c.state == "champion"))
    if champion is None:
        return 0
    connection.execute(queries.statement("verification_00_seed"), {"seed": secrets.token_hex(16)})
    scored = connection.execute(queries.statement("verification_01_range")).one()._mapping
    about = {"model_version": champion, "share": share, **scored}
    connection.execute(queries.statement("verification_02_draw"), about)
    newest = select(func.max(verification_draws.c.id)).scalar_subquery()
    drawn = select(func.count()).where(verification_sample.c.draw_id == newest)
    return int(connection.scalar(drawn) or 0)
