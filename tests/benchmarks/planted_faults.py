"""What monitoring finds: twenty sound days of the practice hospital, and a day with each planted fault.

python tests/benchmarks/planted_faults.py [--ecgs-per-day 800] [--sound-days 20] [--seeds 7]

Each seed is a fresh draw of the hospital, its model and its days.
"""

from __future__ import annotations

import argparse
import os
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
from support.pseudonyms import KEY
from support.watched_hospital import SIGNS, Plan, Sign, WatchedHospital

PLAN = Plan(patients=2000, epochs=12, ecgs_per_day=800, reference_days=14, clean_days=20)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ecgs-per-day", type=int, default=PLAN.ecgs_per_day)
    parser.add_argument("--sound-days", type=int, default=PLAN.clean_days)
    parser.add_argument("--seeds", type=int, nargs="+", default=[PLAN.seed])
    asked = parser.parse_args()
    os.environ["STENCE_PSEUDONYM_KEY"] = KEY  # each fault has a copy of the database, and a folder of its own
    for seed in asked.seeds:
        print(f"seed {seed}", flush=True)
        _draw(replace(PLAN, ecgs_per_day=asked.ecgs_per_day, clean_days=asked.sound_days, seed=seed))


def _draw(plan: Plan) -> None:
    started = time.perf_counter()
    with (
        server_folder() as server,
        tempfile.TemporaryDirectory() as folder,
        database.connect_as_owner(Settings(data_dir=server)) as admin,
    ):
        hospital = WatchedHospital(admin, Path(folder), plan)
        hospital.open()
        print(f"trained, {plan.reference_days + plan.clean_days} days scored: {_since(started)}", flush=True)
        false_alarms = [(day, alert) for day in plan.watched_days for alert in hospital.watch(day)]
        print(f"{len(false_alarms)} alerts on {plan.clean_days} sound days: {_since(started)}", flush=True)
        for day, alert in false_alarms:
            print(f"  {day}  {_named(alert)}: {alert.detail}")
        for fault, sign in SIGNS.items():
            alerts = hospital.watch_with(fault)
            print(
                f"{fault:20} {'found ' if _found(sign, alerts) else 'MISSED'}  "
                f"{'; '.join(map(_named, alerts)) or 'no alert'}",
                flush=True,
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
