"""What a run says of a Prefect server that is gone: lines with the reason, and no traceback."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest
from websockets.exceptions import InvalidMessage

from stence import flows  # noqa: F401 - sets it up, as in every run


def logged(name: str, error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    with caplog.at_level(logging.WARNING):
        try:
            raise error
        except type(error) as raised:
            logging.getLogger(name).warning("The websocket of %s failed.", "the run", exc_info=raised)
    return caplog.text


@pytest.mark.parametrize(
    "error",
    [
        InvalidMessage("no HTTP"),
        httpx.ConnectError("refused"),
        ConnectionResetError(),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("name", ["prefect.FlowRunSuspendingObserver", "prefect.runner", "asyncio"])
def test_a_lost_server_is_told_in_one_line(
    name: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    text = logged(name, error, caplog)
    assert f"The websocket of the run failed. ({type(error).__name__})" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("name", "error"), [("prefect.flow_runs", ValueError("of the code")), ("stence", ConnectionResetError())]
)
def test_other_errors_keep_their_place(
    name: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    assert "Traceback" in logged(name, error, caplog)


def test_a_callback_of_a_cancelled_task_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """As Prefect's observers ask a cancelled task for its exception."""

    async def lose() -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        task.add_done_callback(lambda done: done.exception())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.05)

    asyncio.run(lose())
    assert "Exception in callback" in caplog.text
    assert "Traceback" not in caplog.text
