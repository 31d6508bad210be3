"""Names, numbers and passwords are planted, everything is run, and everything fails: none is found anywhere.

The hospital's own files, pages, exports and tables name patients; everything else may not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from stence import database
from stence.cli.prefect_server import prefect_server
from stence.database.embedded import Server
from stence.database.tables import ecgs, flags
from stence.objects.local import LocalStore
from stence.settings import Settings
from support.champion import crown
from support.database import server_folder
from support.environment import without_prefect
from support.planted import NAME, NUMBER, SECRETS, command_lines, leaks, words_in
from support.ports import free_port
from support.toy_hospital import QUICK, ToyHospital, toy_ecg

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PATIENTS = 110
FEW_EPOCHS = QUICK.replace("epochs: 8,", "epochs: 2,").replace("epochs: 8\n", "epochs: 2\n")
STENCE = Path(sys.executable).with_name("stence")
PATIENT_FILES = {"ecg", "reports", "angio", "patients", "pages", "export"}
"""Folders of the store whose files name patients."""
SERVERS_RECORD = "prefect/server.json"
"""Where commands find the password of the Prefect server; only the account of stence may read it."""
BUG = """
import sys
from stence import scoring

def index(*arguments):
    raise RuntimeError("no patient {number} {name} at {secret}")

scoring.index = index
from stence.cli import main
main(sys.argv[1:])
"""

IMPATIENT = """
import sys
from stence.flows import workplace

workplace.RETRY_DELAYS_SECONDS[:] = [0.1] * len(workplace.RETRY_DELAYS_SECONDS)
from stence.cli import main
main(sys.argv[1:])
"""


class Hospital:
    """A data folder with planted patients, and commands that run on it."""

    def __init__(self, folder: Path, api_url: str) -> None:
        self.folder, self.said, self.processes = folder, b"", set[str]()
        self.temporary = folder / "usual-tmp"
        self.temporary.mkdir()
        socket_folder = Server(folder).socket_folder
        self.environment = {
            **without_prefect(),
            "STENCE_DATA_DIR": str(folder),
            "STENCE_DATABASE_URL": f"postgresql://postgres:{SECRETS['database']}@/postgres?host={socket_folder}",
            "STENCE_PSEUDONYM_KEY": SECRETS["pseudonym key"],
            "STENCE_DEVICE": "cpu",
            "STENCE_OUTAGE_SECONDS": "0",
            "STENCE_PAGES_PER_RUN": "2",
            "STENCE_MIN_NEW_PAIRS": "1",
            "STENCE_PRESET": str(folder / "quick.yaml"),
            "PREFECT_API_URL": api_url,
            "PREFECT_API_AUTH_STRING": f"stence:{SECRETS['prefect']}",
            "PREFECT_HOME": str(folder / "prefect"),
            "TMPDIR": str(self.temporary),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *command: object, fails: bool = False, shows_patients: bool = False, **changed: str) -> str:
        """Run a command of stence; keep what it logs, and which processes it starts."""
        return self.run_program(STENCE, *command, fails=fails, shows_patients=shows_patients, **changed)

    def run_program(
        self, *command: object, fails: bool = False, shows_patients: bool = False, **changed: str
    ) -> str:
        """Run any program likewise."""
        with command_lines() as seen:
            done = subprocess.run(
                list(map(str, command)), env=self.environment | changed, cwd=self.folder,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        typed = " ".join(map(str, command[1:]))  # what a person writes into a command line, stands in it
        self.processes |= {line.replace(typed, "") for line in seen}
        self.said += f"{done.stderr}{'' if shows_patients else done.stdout}".encode()
        assert bool(done.returncode) == fails, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def everything(self) -> list[Path]:
        """What stence left, but for files that name patients. Postgres' own files are searched as tables."""
        own = [path for path in self.folder.iterdir() if path.name not in {"postgres", "store"}]
        return own + [path for path in (self.folder / "store").iterdir() if path.name not in PATIENT_FILES]


def own(folder: Path) -> Settings:
    """Settings of the hospital in this process."""
    return Settings(data_dir=folder, pseudonym_key=SecretStr(SECRETS["pseudonym key"]), device="cpu")


@pytest.fixture(scope="module")
def hospital() -> Iterator[Hospital]:
    before = dict(os.environ)
    with server_folder() as folder:
        plant(LocalStore(folder / "store"))
        (folder / "quick.yaml").write_text(FEW_EPOCHS)
        os.environ["PREFECT_SERVER_API_AUTH_STRING"] = f"stence:{SECRETS['prefect']}"
        prefect = folder / "server"
        database_url = f"sqlite+aiosqlite:///{prefect}/prefect.db"
        with (
            database.connect(own(folder)),
            prefect_server(Settings(data_dir=prefect), database_url, "127.0.0.1", free_port()) as server,
        ):
            os.environ.clear()
            os.environ.update(before)
            yield Hospital(folder, server.api_url)
    os.environ.clear()
    os.environ.update(before)


def plant(store: LocalStore) -> None:
    place = ToyHospital(store, patients=PATIENTS, prefix=NUMBER)
    place.add_ecg(f"{NAME}_MAEVE/{NUMBER}-rest", f"{NUMBER}9", toy_ecg(9, ill=True))
    place.add_angiograms()
    place.write()
    store.put(f"ecg/{NAME}/broken.dcm", f"DICM {NAME} {NUMBER}".encode())
    store.put(f"ecg/{NAME}/{NUMBER}.xml", f"<RestingECG><PatientID>{NUMBER}</PatientID>".encode())
    store.put(f"ecg/{NAME}/record_list.csv", f"subject_id,ecg_time,path\n{NUMBER},{NAME},x\n".encode())
    store.put(f"reports/{NAME}.csv", f"study_id,patient_id\n{NUMBER},{NAME}\n".encode())
    store.put(f"patients/{NAME}.csv", f"former,present\n{NUMBER},{NAME} \x01\n".encode())


def test_a_full_run_leaves_nothing_that_was_planted(hospital: Hospital) -> None:
    run = hospital.run
    run("ingest")
    settings = own(hospital.folder)
    with database.connect(settings) as engine:
        crown(engine, LocalStore(hospital.folder / "store"), settings, "tiny-1", threshold=0)
    run("-v", "score")
    search(hospital)
    run("-v", "score", "--workers", "2")
    for command in (["monitor"], ["report"], ["pages"], ["ward-list"], ["export", "csv"], ["export", "fhir"]):
        run(*command)
    for command in (["query", "flagged_patients"], ["quarantine", "list"], ["query", "unusable_rows"]):
        assert run(*command, shows_patients=True)
    run("explain", flagged_ecg(settings), "--output", hospital.folder / "store" / "pages" / "one.html")
    run("inspect", f"ecg/{NAME}/broken.dcm", shows_patients=True)
    run("models", "list")
    run("doctor")
    search(hospital)


@pytest.mark.parametrize(
    ("command", "changed"),
    [
        ("ingest", {"STENCE_DATABASE_URL": f"postgresql://x:{SECRETS['database']}@127.0.0.1:1/x"}),
        ("doctor", {"STENCE_DATABASE_URL": f"postgresql://x:{SECRETS['database']}@@127.0.0.1:1/x"}),
        ("ingest", {"STENCE_STORE_URL": f"https://x:{SECRETS['secret key']}@host/x"}),
        ("score", {"STENCE_BATCH_SIZE": SECRETS["token"]}),
        ("ingest", {"PREFECT_API_URL": f"http://x:{SECRETS['prefect']}@127.0.0.1:1/api"}),
    ],
)
def test_a_failure_tells_nothing(hospital: Hospital, command: str, changed: dict[str, str]) -> None:
    hospital.run(command, fails=True, **changed)
    search(hospital)


def test_a_store_that_stays_away_tells_nothing(hospital: Hospital) -> None:
    """Its first task is tried four times; here without minutes between."""
    hospital.run_program(
        sys.executable, "-c", IMPATIENT, "ingest", fails=True,
        STENCE_STORE_URL="s3://bucket/x", STENCE_S3_ENDPOINT_URL="http://127.0.0.1:1",
        STENCE_S3_ACCESS_KEY=SECRETS["access key"], STENCE_S3_SECRET_KEY=SECRETS["secret key"],
    )  # fmt: skip
    search(hospital)


@pytest.mark.parametrize("command", ["ingest", "score"])
def test_a_bug_tells_its_place_and_nothing_else(hospital: Hospital, command: str) -> None:
    program = BUG.format(number=NUMBER, name=NAME, secret=SECRETS["database"])
    before = len(hospital.said)
    hospital.run_program(sys.executable, "-c", program, command, fails=True)
    said = hospital.said[before:].decode()
    assert "RuntimeError" in said
    assert "in index" in said
    search(hospital, ignoring=program)


def test_a_retraining_leaves_nothing_that_was_planted(hospital: Hospital) -> None:
    hospital.run("-v", "retrain", STENCE_WINDOWS_PER_ECG="2")  # as the champion of the full run
    search(hospital)


def test_the_search_finds_what_is_there(hospital: Hospital) -> None:
    assert leaks([hospital.folder / "store" / "ecg"])
    assert words_in(f"{NAME} {NUMBER}".encode("utf-16-le")) == {NAME, NUMBER}


def search(hospital: Hospital, ignoring: str = "\0") -> None:
    """Nothing planted is in logs, Prefect's database, model files, caches, temporary files, process lists."""
    said = hospital.said.replace(ignoring.encode(), b"")
    assert not words_in(said), [line for line in said.splitlines() if words_in(line)][:5]
    found = leaks(hospital.everything())
    assert not {path: words for path, words in found.items() if not path.endswith(SERVERS_RECORD)}
    assert not words_in("\n".join(hospital.processes).replace(ignoring, "").encode())


def flagged_ecg(settings: Settings) -> int:
    with database.connect(settings) as engine, engine.connect() as connection:
        return connection.scalars(
            select(ecgs.c.id).join(flags, flags.c.content_hash == ecgs.c.content_hash)
        ).first()
