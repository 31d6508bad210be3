"""What a run says of a Prefect server that is gone: a line with the reason, and no traceback."""

from __future__ import annotations

import logging

import pytest

import flows


@pytest.mark.parametrize("observer", flows.OBSERVERS)
def test_a_lost_server_is_told_in_one_line(observer: str, caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ConnectionResetError("by the server")
    except ConnectionResetError as error:
        with caplog.at_level(logging.WARNING):
            logging.getLogger(f"prefect.{observer}").warning("The websocket failed.", exc_info=error)
    assert "The websocket failed. (ConnectionResetError)" in caplog.text
    assert "Traceback" not in caplog.text


def test_the_observers_are_prefects() -> None:
    from prefect._internal.observers import FlowRunCancellingObserver, FlowRunSuspendingObserver

    observers = FlowRunCancellingObserver(print), FlowRunSuspendingObserver(print)
    assert {each.logger.name for each in observers} == {f"prefect.{name}" for name in flows.OBSERVERS}
