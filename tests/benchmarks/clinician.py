"""Cost of row-level security: the list for a clinician with 3 of 40 wards, beside that of the hospital.

python tests/benchmarks/clinician.py [ECGS]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import psutil
from sqlalchemy import Connection, Engine, create_engine, text

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from stence import database
from stence.database import queries
from stence.database.sites import add_site
from stence.settings import Settings
from support.database import server_folder
from support.synthetic import load

ROUNDS = 20
WARDS, OWN = 40, (7, 21, 33)
# Nine in ten ECGs of a patient are of one ward.
SITES = """
UPDATE ecgs
SET site = 'ward ' || CASE WHEN id % 10 = 0 THEN abs(hashint8(id)) ELSE abs(hashtext(patient_id)) END % :wards
"""
EXPLAIN = """
EXPLAIN (ANALYZE, BUFFERS OFF)
SELECT * FROM flagged_patients ORDER BY probability DESC, flag_id DESC LIMIT 50
"""
QUESTIONS = {
    "flagged_patients": {},
    "flagged_patients, known ones too": {"include_known": "yes"},
    "flagged_patients of a ward": {"site": f"ward {OWN[0]}"},
}


def main() -> None:
    ecgs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with server_folder() as folder, database.connect_as_owner(Settings(data_dir=folder)) as engine:
        fill(engine, ecgs)
        clinician = create_engine(engine.url.set(username="ana"))
        title = f"median ms of {ROUNDS} (mean of CPU)"
        print(f"\n{title:<40}{'everybody':>16}{'clinician':>16}{'rows':>6}")
        for name, params in QUESTIONS.items():
            everybody, own, rows = compare(engine, clinician, params)
            print(f"{name:<40}{everybody:>16}{own:>16}{rows:>6}", flush=True)
        if "--plan" in sys.argv:
            print(plan(clinician))
        clinician.dispose()


def fill(engine: Engine, ecgs: int) -> None:
    """A hospital with 40 wards, and a clinician of three."""
    load(engine, ecgs=ecgs, patients=ecgs // 5)
    with engine.begin() as connection:
        connection.execute(text(SITES), {"wards": WARDS})
        connection.execute(text("CREATE ROLE ana LOGIN"))
        for ward in OWN:
            add_site(connection, "ana", f"ward {ward}", by="benchmark", why="benchmark")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM FULL ecgs")
        connection.exec_driver_sql("VACUUM ANALYZE")


class Asked:
    """Times of a question that one login asks again and again."""

    def __init__(self, connection: Connection, params: dict[str, str]) -> None:
        self._connection, self._params = connection, params
        driver = connection.connection.driver_connection
        assert driver is not None
        self._server = psutil.Process(driver.info.backend_pid)
        self.times: list[float] = []
        self.ask()  # what is read for the first time
        self.times, self._cpu = [], self._spent()

    def ask(self) -> int:
        """Ask once more; the number of rows."""
        start = time.perf_counter()
        _, rows = queries.run(self._connection, "flagged_patients", self._params)
        self.times.append(1000 * (time.perf_counter() - start))
        return len(rows)

    def _spent(self) -> float:
        return sum(self._server.cpu_times()[:2])

    def __str__(self) -> str:
        cpu = 1000 * (self._spent() - self._cpu) / len(self.times)
        return f"{statistics.median(self.times):.1f} ({cpu:.1f})"


def compare(engine: Engine, clinician: Engine, params: dict[str, str]) -> tuple[str, str, int]:
    """The times of both, asked in turn, and the rows that the clinician got."""
    with engine.connect() as one, clinician.connect() as other:
        everybody, own = Asked(one, params), Asked(other, params)
        for _ in range(ROUNDS):
            everybody.ask()
            rows = own.ask()
        return str(everybody), str(own), rows


def plan(engine: Engine) -> str:
    """The plan of the list for the clinician."""
    with engine.connect() as connection:
        found = connection.execute(text(EXPLAIN))
        return "\n".join(found.scalars())


if __name__ == "__main__":
    main()
