"""Export of flags at the end of a score run, where the settings ask for it."""

from __future__ import annotations

from prefect import get_run_logger

from stence.errors import StenceError
from stence.export import SENDERS, Sent
from stence.flows.workplace import Workplace, step, unseen


@step("export-flags")
def export_flags(place: Workplace, export_format: str) -> Sent:
    """Send new and changed flags."""
    return SENDERS[export_format](place.engine, place.store, place.settings)


def export_if_wanted(place: Workplace) -> None:
    """Export in the format of the settings. A failure is logged; what was not sent waits for the next run."""
    wanted = place.settings.auto_export
    if wanted == "off":
        return
    try:
        sent = export_flags(unseen(place), wanted)
    except StenceError as error:
        get_run_logger().error("The export of flags failed: %s", error)
    else:
        log = get_run_logger().error if sent.refused else get_run_logger().info
        log("exported flags: %s", sent._asdict())
