"""ECGs under patients, as a hospital's files give and take them."""

from __future__ import annotations

from sqlalchemy import Engine, select

from stence.database.tables import ecgs, flags, objects
from stence.objects import ObjectStore
from support.ecgs import heartbeats, store_ecg
from support.pseudonyms import numbers

HEADER = "subject_id,study_id,file_name,ecg_time,path"
TIME = "2026-03-01 08:30:00"


def put_manifest(store: ObjectStore, *rows: tuple[str, str], key: str = "ecg/record_list.csv") -> None:
    """A manifest of (patient, path)."""
    lines = [HEADER, *(f"{patient},,,{TIME},{path}" for patient, path in rows), ""]
    store.put(key, "\n".join(lines).encode())


def put_ecgs(store: ObjectStore, *names: str) -> None:
    """ECGs that name no patient, each unlike the others."""
    for name in names:
        store_ecg(store, f"ecg/{name}.hea", heartbeats(sum(name.encode())))


def put_named(store: ObjectStore, name: str, patient: str, signal: int) -> None:
    """An ECG whose file names its patient."""
    store_ecg(store, f"ecg/{name}.hea", heartbeats(signal), comments=(f"<subject_id>: {patient}",))


def patients_by_key(engine: Engine) -> dict[str, str]:
    """Number of the patient of every ECG that is scored, by the key of its file."""
    statement = select(objects.c.key, ecgs.c.patient_id).join(ecgs, ecgs.c.object_id == objects.c.id)
    known = numbers(engine)
    with engine.connect() as connection:
        return {key: known[patient] for key, patient in connection.execute(statement.order_by(objects.c.key))}


def listed(engine: Engine) -> set[str]:
    """Numbers of the patients with a flag that stands."""
    statement = select(flags.c.patient_id).where(flags.c.state.in_(("open", "confirmed")))
    known = numbers(engine)
    with engine.connect() as connection:
        return {known[patient] for patient in connection.scalars(statement)}
