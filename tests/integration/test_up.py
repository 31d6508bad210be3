"""``stence up`` as a person runs it: a real process, a real Prefect server in the embedded Postgres."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql

from stence.cli import prefect_home
from stence.database.embedded import Server
from stence.objects import LocalStore
from stence.settings import Settings
from support.database import server_folder
from support.ecgs import heartbeats, manifest, store_ecg
from support.up import (
    BEFORE_END,
    START_SECONDS,
    STENCE,
    ZONE,
    Up,
    kill_everything,
    left_running,
    store_listing_held,
)

pytestmark = pytest.mark.slow

PATIENT = "PAT-81234567"
TABLE = sql.SQL("SELECT t::text FROM {} t")
SCHEDULES = {
    "archive": "15 * * * *",
    "ingest-hourly": "50 * * * *",
    "score-hourly": "0 * * * *",
    "monitor-daily": "30 5 * * *",
    "retrain-weekly": "0 1 * * 0",
}
DEPLOYMENTS = {*SCHEDULES, "promote-model"}
RUN_SECONDS = 180


def prefect_holds(data_dir: Path) -> str:
    """All rows of all tables of Prefect's database."""
    where = f"host={Server(data_dir).socket_folder} user=postgres dbname=prefect"
    with psycopg.connect(where) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [connection.execute(TABLE.format(sql.Identifier(name))).fetchall() for (name,) in names]
    return "\n".join(text for table in rows for (text,) in table)


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A data folder with three ECGs of one patient in its store."""
    with server_folder() as folder:
        store = LocalStore(folder / "store")
        for number in range(3):
            store_ecg(store, f"ecg/{PATIENT}/{number}.hea", heartbeats(number))
        store.put("ecg/record_list.csv", manifest([(PATIENT, "2026-03-01 08:30:00", f"{PATIENT}/1")]))
        yield folder


@pytest.fixture(scope="module")
def up(data_dir: Path) -> Iterator[Up]:
    try:
        yield Up(data_dir, scheduled=True)
    finally:
        kill_everything(data_dir)


def test_up_serves_the_deployments_and_runs_one(up: Up, data_dir: Path) -> None:
    assert f"http://127.0.0.1:{up.port}" in up.said()
    up.wait_for(lambda: up.deployments().keys() == DEPLOYMENTS, 60)
    for name, cron in SCHEDULES.items():
        deployment = up.deployments()[name]
        (schedule,) = deployment["schedules"]
        assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == (cron, ZONE)
        assert schedule["active"]
        assert not deployment["paused"]
        assert "stence" in deployment["tags"]
        assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"

    # Prefect's own services live: they plan the coming runs.
    scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}

    def planned() -> int:
        return len({run["deployment_id"] for run in up.api("flow_runs/filter", scheduled)})

    up.wait_for(lambda: planned() == len(SCHEDULES), 90)
    up.pause_schedules()  # a run at ten to the hour would be one more than the test's own

    run = up.create_run("ingest-hourly")
    up.wait_for(lambda: up.state(run) not in BEFORE_END, RUN_SECONDS)
    assert up.state(run) == "COMPLETED"
    assert {"stence", "ingest"} <= set(up.api(f"flow_runs/{run}")["tags"])
    (artifact,) = up.api("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    assert '"new", "count": 3' in artifact["data"]

    # A command in another terminal reports to the same server.
    subprocess.run([STENCE, "ingest"], env=up.environment, cwd=data_dir, check=True, timeout=RUN_SECONDS)
    runs = up.api("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    assert len(runs) == 2

    held = prefect_holds(data_dir)
    assert run in held
    assert PATIENT not in held


def test_nothing_is_answered_without_the_password(up: Up) -> None:
    """Neither to others on the host, nor to a web page, whatever host name it was reached by."""
    url, flows = f"http://127.0.0.1:{up.port}", f"http://127.0.0.1:{up.port}/api/flows/filter"
    assert httpx.get(f"{url}/api/health").json() is True
    for auth in (None, ("stence", "guess"), ("stence", "")):
        assert httpx.post(flows, json={}, auth=auth).status_code == 401
    assert httpx.post(flows, json={}, auth=up.auth).status_code == 200

    page = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(flows, headers=page | {"Access-Control-Request-Headers": "authorization"})
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    rebound = {"Host": f"evil.example:{up.port}"}
    assert httpx.post(flows, json={}, auth=up.auth, headers=rebound).status_code == 400
    assert httpx.get(f"{url}/", headers=rebound).status_code == 400
    assert httpx.get(f"http://localhost:{up.port}/ui-settings").json()["api_url"] == "/api"


def test_events_are_taken_from_nobody_without_the_password(up: Up) -> None:
    """Events set off automations, and so runs."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    address = f"ws://127.0.0.1:{up.port}/api/events/in"
    with connect(address, subprotocols=["prefect"]) as socket:
        socket.send('{"type": "auth", "token": "guess"}')
        with pytest.raises(ConnectionClosed, match="Invalid token"):
            socket.recv(timeout=30)


def test_the_password_is_kept_for_this_account_alone_and_no_log_has_it(up: Up, data_dir: Path) -> None:
    told = ":".join(up.auth)
    home = prefect_home.folder(Settings(data_dir=data_dir))
    assert f"The UI asks for a password, stored in {home / 'auth'}\n" in up.said()
    assert told not in up.said()
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "auth").read_text() == told
    for name in ("auth", "server.json", "server.log", "up.lock"):
        assert (home / name).stat().st_mode & 0o777 == 0o600, name
    assert told not in (home / "server.log").read_text()


def test_a_second_one_is_refused_in_words_and_the_first_goes_on(up: Up, data_dir: Path) -> None:
    second = start_another(up, data_dir)
    assert second.returncode == 1
    assert f"another stence up (process {up.process.pid}) serves {data_dir}" in second.stderr
    assert "STENCE_DATA_DIR" in second.stderr
    assert up.deployments().keys() == DEPLOYMENTS


def test_a_port_that_another_server_holds_is_named(up: Up, tmp_path: Path) -> None:
    """One of another data folder: it is left alone."""
    with server_folder() as another:
        second = start_another(up, another)
    assert second.returncode == 1
    assert "--port" in second.stderr
    assert up.api("health") is True


def test_it_ends_with_its_server_and_the_next_one_goes_on(up: Up, data_dir: Path) -> None:
    """Amid a run. Whatever watches over it starts it again; with the same schedules and the same password."""
    server = prefect_home.recorded(Settings(data_dir=data_dir))
    assert server is not None
    with store_listing_held(data_dir):
        up.wait_until(up.create_run("ingest-hourly"), "RUNNING")
        psutil.Process(server.pid).kill()
        assert up.process.wait(60) == 1
    assert "ended by itself" in up.said()
    assert left_running(data_dir) == []

    again = Up(data_dir, up.port)
    assert ":".join(again.auth) == server.auth
    assert server.auth not in again.said()
    again.wait_for(lambda: again.deployments().keys() == DEPLOYMENTS, 60)
    schedules = [each for found in again.deployments().values() for each in found["schedules"]]
    assert all(each["active"] for each in schedules)
    assert again.stop(signal.SIGTERM) == 0
    assert left_running(data_dir) == []


def start_another(up: Up, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """A second ``stence up`` on the port of the first, which is to give up by itself."""
    return subprocess.run(
        [STENCE, "up", "--port", str(up.port)],
        env=up.environment | {"STENCE_DATA_DIR": str(data_dir)},
        cwd=data_dir,
        capture_output=True,
        check=False,
        text=True,
        timeout=START_SECONDS,
    )
