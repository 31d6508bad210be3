"""The flow ``archive``: score the back-catalogue in the time that today's ECGs leave.

Each run has ``archive_minutes``. New ECGs come first in it too, so the archive never delays them for longer
than a batch.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import flow, get_run_logger
from pydantic import PositiveInt

from stence import scoring
from stence.flows import news
from stence.flows.discretion import library_logs
from stence.flows.score import list_shadows, load_champion, publish, score_all, score_in_shadow
from stence.flows.workplace import dated, open_workplace, unseen


@flow(name="archive", flow_run_name=dated("archive"), persist_result=False)
def archive(workers: PositiveInt = 1) -> dict[str, Any]:
    """Score for ``archive_minutes``: the champion, then the shadows. Return the champion's counts.

    The store is not listed. Pages and exports of new flags are left to the next ``score`` run.
    """
    with library_logs(), open_workplace() as place:
        minutes = place.settings.archive_minutes
        if minutes == 0:
            get_run_logger().info("STENCE_ARCHIVE_MINUTES is 0: the archive waits")
            return {}
        workload = scoring.Workload(until=datetime.now(UTC) + timedelta(minutes=minutes), workers=workers)
        summary = score_all(place, load_champion(unseen(place)), workload)
        publish(summary, "archive")
        news.tell_flags(summary)
        for shadow in list_shadows(unseen(place)):
            score_in_shadow(place, shadow, workload)
    return summary.counts()
