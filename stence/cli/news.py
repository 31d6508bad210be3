"""News of commands as Prefect events, where a Prefect server is configured or ``stence up`` runs."""

from __future__ import annotations

import logging
import os

from stence.cli import prefect_home
from stence.domain.urls import without_secrets
from stence.settings import Settings

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 10.0


def tell_model(settings: Settings, change: str, version: str, **counts: int) -> None:
    """Emit a change of a model. It holds without the event: if the server is away, a log line says so."""
    configured = os.environ.get("PREFECT_API_URL")
    if configured and not prefect_home.is_healthy(configured):
        server = without_secrets(configured)
        log.warning("The Prefect server %s does not answer: no automation was told of this", server)
    elif configured or prefect_home.running_server(settings):
        prefect_home.prepare(settings)
        from prefect.events.worker import EventsWorker

        from stence.flows import news

        news.tell_model(change, version, **counts)
        EventsWorker.drain_all(timeout=LONGEST_WAIT_SECONDS)
