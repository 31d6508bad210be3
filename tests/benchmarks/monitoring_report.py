"""How long the monitoring report takes, and how much memory, with 100,000 scores and 60 days of figures.

python tests/benchmarks/monitoring_report.py [ECGS]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from sqlalchemy import text

from stence import database
from stence.objects import LocalStore
from stence.settings import Settings
from support.database import server_folder
from support.monitored import load_monitored

UNTIL = date(2026, 11, 23)
ROUNDS = 3
ALONE = "--alone"


def main() -> None:
    if ALONE in sys.argv:
        print(*report(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
        return
    ecgs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with server_folder() as folder, database.connect(Settings(data_dir=folder)) as engine:
        load_monitored(engine, UNTIL, ecgs=ecgs)
        with engine.connect() as connection:
            scores, figures = (
                connection.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608
                for table in ("scores", "monitoring_metrics")
            )
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        print(f"{scores:,} scores, {figures:,} figures of 60 days")
        print(f"{'round':<8}{'seconds':>9}{'peak MB':>9}{'page kB':>9}")
        with TemporaryDirectory() as store:
            for number in range(1, ROUNDS + 1):
                seconds, peak, size = measured(url, folder, store)
                print(f"{number:<8}{seconds:>9.2f}{peak:>9.0f}{size:>9.0f}")


def measured(url: str, data_dir: Path, store: str) -> list[float]:
    """Seconds, peak memory in MB and size in kB of a report by a process of its own."""
    command = [sys.executable, __file__, ALONE, url, str(data_dir), store]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(figure) for figure in done.stdout.split()]


def report(url: str, data_dir: Path, store: Path) -> tuple[float, float, float]:
    """The same, of a report by this process; its start and imports count."""
    from stence.monitoring.report import write_report
    from stence.progress import silent

    start = time.monotonic()
    settings = Settings(database_url=url, data_dir=data_dir)  # where the key of its pseudonyms is
    with database.connect(settings) as engine:
        written = write_report(engine, LocalStore(store), settings, silent, UNTIL)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return time.monotonic() - start, peak, len(written.content) / 1000


if __name__ == "__main__":
    main()
