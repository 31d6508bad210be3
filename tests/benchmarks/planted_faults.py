"""What monitoring finds: twenty sound days of the practice hospital, and a day with each planted fault.

python tests/benchmarks/planted_faults.py [ECGS_PER_DAY]
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from stence import database
from stence.monitoring.alerts import Alert
from stence.settings import Settings
from support.database import server_folder
from support.watched_hospital import SIGNS, Plan, Sign, WatchedHospital

PLAN = Plan(patients=2000, epochs=12, ecgs_per_day=800, reference_days=14, clean_days=20)


def main() -> None:
    plan = PLAN if len(sys.argv) < 2 else replace(PLAN, ecgs_per_day=int(sys.argv[1]))
    started = time.perf_counter()
    with (
        server_folder() as server,
        tempfile.TemporaryDirectory() as folder,
        database.connect(Settings(data_dir=server)) as admin,
    ):
        hospital = WatchedHospital(admin, Path(folder), plan)
        hospital.open()
        print(f"trained, {plan.reference_days + plan.clean_days} days scored: {_since(started)}")
        false_alarms = [(day, alert) for day in plan.watched_days for alert in hospital.watch(day)]
        print(f"{len(false_alarms)} alerts on {plan.clean_days} sound days: {_since(started)}")
        for day, alert in false_alarms:
            print(f"  {day}  {_named(alert)}: {alert.detail}")
        for fault, sign in SIGNS.items():
            alerts = hospital.watch_with(fault)
            print(
                f"{fault:20} {'found ' if _found(sign, alerts) else 'MISSED'}  "
                f"{'; '.join(map(_named, alerts)) or 'no alert'}"
            )
    print(_since(started))


def _found(sign: Sign, alerts: list[Alert]) -> bool:
    return any((alert.rule, alert.slice_value) == sign for alert in alerts)


def _named(alert: Alert) -> str:
    return f"{alert.rule} ({alert.slice_value})" if alert.slice_value else alert.rule


def _since(started: float) -> str:
    return f"{time.perf_counter() - started:.0f} s"


if __name__ == "__main__":
    main()
