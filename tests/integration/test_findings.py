"""Inputs that broke the intake once: each ends as the last column of its INDEX.md says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from stence import cohort, scoring
from stence.database import queries
from stence.database.tables import cath_studies, ecgs, manifest_rows, quarantine, source_faults
from stence.objects import LocalStore
from stence.settings import Settings
from support.identity import listed, patients_by_key, put_named
from support.models import ShapeScorer, register
from support.scoring import all_rows, in_quarantine

GOOD = "good/1"


class Hospital:
    """A store with one case in it, and one good ECG beside."""

    def __init__(self, engine: Engine, settings: Settings, findings: Path) -> None:
        self.engine, self.settings, self._findings = engine, settings, findings
        self.store = LocalStore(settings.data_dir / "store")
        put_named(self.store, GOOD, "GOOD", 1234)

    def bring(self, case: str, to: str = "", *, only: str = "*") -> Hospital:
        """Copy the files of a case into the store."""
        target = self.settings.data_dir / "store" / to
        for path in sorted((self._findings / case).glob(only)):
            goal = target / path.name
            goal.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, goal, dirs_exist_ok=True)
            else:
                shutil.copy(path, goal)
        return self

    def score(self, **changed: str) -> Hospital:
        """Index, score, and ask for the lists that people look at."""
        settings = self.settings.model_copy(update=changed)
        scorer = ShapeScorer(threshold=0)
        register(self.engine, scorer)
        scoring.index(self.engine, self.store, settings)
        with scoring.open_run(self.engine, self.store, settings, scorer) as run:
            while run.score(limit=64):
                pass
        summary = run.summary()
        assert summary.indexed == summary.scored + summary.quarantined
        assert "GOOD" in listed(self.engine)
        with self.engine.connect() as connection:
            for name in ("flagged_patients", "highest_risk", "quarantine_open", "recent_runs"):
                queries.run(connection, name, {})
            for patient in listed(self.engine):
                queries.run(connection, "patient_history", {"patient": patient})
        return self

    def report(self) -> cohort.Reports | None:
        cohort.index_reports(self.engine, self.store, self.settings)
        return None

    @property
    def patients(self) -> dict[str, str]:
        """Patient of every scored ECG but the good one, by its name below ecg/."""
        found = patients_by_key(self.engine)
        return {
            key.removeprefix("ecg/").rpartition(".")[0]: patient
            for key, patient in found.items()
            if GOOD not in key
        }

    @property
    def refused(self) -> dict[str, str]:
        return {key.removeprefix("ecg/"): reason for key, reason in in_quarantine(self.engine).items()}

    @property
    def faults(self) -> set[str]:
        return {reason for (reason,) in all_rows(self.engine, source_faults.c.reason)}


@pytest.fixture
def bring(engine: Engine, settings: Settings, shared: Path) -> Callable[..., Hospital]:
    """A hospital with a case of the findings in its store."""
    hospital = Hospital(engine, settings, shared / "findings")
    return hospital.bring


def test_two_stray_quotes(bring: Callable[..., Hospital]) -> None:
    hospital = bring("intake/01-two-stray-quotes-wrong-patient/store").score()
    assert hospital.patients == {"1": "P1", "3": "P3"}
    assert hospital.refused == {"0.hea": "unknown_patient", "2.hea": "unknown_patient"}
    assert hospital.faults == {"row_not_a_record"}


def test_two_manifests_two_patients(bring: Callable[..., Hospital]) -> None:
    hospital = bring("intake/02-two-manifests-two-patients/store").score()
    assert (hospital.patients, hospital.refused) == ({}, {"a/1.hea": "patient_mismatch"})


@pytest.mark.parametrize(
    ("then", "reason"), [("withdrawn", "unknown_patient"), ("contradicted", "patient_mismatch")]
)
def test_a_row_withdrawn_or_contradicted(bring: Callable[..., Hospital], then: str, reason: str) -> None:
    case = "intake/03-manifest-row-withdrawn-or-contradicted"
    hospital = bring(f"{case}/store").score()
    assert listed(hospital.engine) == {"P1", "P2", "GOOD"}
    bring(case, only=f"then-{then}.csv")
    store = hospital.settings.data_dir / "store"
    (store / f"then-{then}.csv").replace(store / "ecg" / "record_list.csv")
    hospital.score()
    assert hospital.refused == {"2.hea": reason}
    assert listed(hospital.engine) == {"P1", "GOOD"}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati"])
@pytest.mark.parametrize("where", ["manifest", "file"])
def test_placeholder_times(bring: Callable[..., Hospital], where: str, zone: str) -> None:
    hospital = bring(f"intake/05-placeholder-times-{where}/store").score(timezone=zone)
    assert hospital.refused == {}
    times = dict(all_rows(hospital.engine, ecgs.c.patient_id, ecgs.c.acquired_at))
    assert {patient for patient, time in times.items() if time is None} >= (
        {"P1"} if where == "manifest" else {"B1"}
    )


@pytest.mark.parametrize(
    ("case", "taken", "refused"),
    [
        ("06-manifest-quote-stops-all", 4000, 1),
        ("06-manifest-quote-in-path-stops-all", 500, 1),
        ("06-manifest-cr-only", 1, 0),
    ],
)
def test_manifests_that_stopped_all(
    bring: Callable[..., Hospital], case: str, taken: int, refused: int
) -> None:
    hospital = bring(f"intake/{case}/store").score()
    assert len(all_rows(hospital.engine, manifest_rows.c.line)) == taken
    assert len(all_rows(hospital.engine, source_faults.c.line)) == refused


def test_a_nul_inside_a_patient_number(bring: Callable[..., Hospital]) -> None:
    hospital = bring("intake/07-nul-inside-patient-id/store").score()
    assert hospital.refused == {"1.dcm": "unreadable_patient"}


def test_a_record_of_two_signal_files(bring: Callable[..., Hospital], shared: Path) -> None:
    case = "intake/09-record-of-two-signal-files"
    hospital = bring(f"{case}/store").score()
    assert hospital.refused == {"rec.hea": "object_missing"}
    [late] = (shared / "findings" / case).rglob("comes-later-*")
    (hospital.settings.data_dir / "store/ecg" / late.name.removeprefix("comes-later-")).write_bytes(
        late.read_bytes()
    )
    hospital.score()
    assert hospital.refused == {}
    assert set(hospital.patients) == {"rec"}


def test_a_time_zone_that_is_mended_later(bring: Callable[..., Hospital]) -> None:
    hospital = bring("intake/10-time-zone-mended-later/store").score()
    hospital.score(timezone="Europe/Berlin")
    berlin = hospital.settings.model_copy(update={"timezone": "Europe/Berlin"})
    cohort.index_reports(hospital.engine, hospital.store, berlin)
    [(study,)] = all_rows(hospital.engine, cath_studies.c.performed_at)
    times = dict(all_rows(hospital.engine, ecgs.c.patient_id, ecgs.c.acquired_at))
    assert (study - times["P1"]).total_seconds() == 3600


@pytest.mark.parametrize(
    ("case", "faults"),
    [
        ("11-degrees-as-fractions", {"row_degree_fraction"}),
        ("14-date-without-time", {"row_date_without_time"}),
        ("15-corrected-report", {"study_two_degrees"}),
    ],
)
def test_reports_that_said_something_else(
    bring: Callable[..., Hospital], case: str, faults: set[str]
) -> None:
    hospital = bring(f"intake/{case}/store")
    hospital.report()
    assert hospital.faults == faults
    assert all_rows(hospital.engine, cath_studies.c.study_id) == []


def test_a_right_sided_lead(bring: Callable[..., Hospital]) -> None:
    hospital = bring("intake/16-right-sided-lead-named-V4(R)/store").score()
    assert hospital.refused == {"1.dcm": "missing_leads"}


def test_a_patient_number_with_a_backslash(bring: Callable[..., Hospital]) -> None:
    hospital = bring("intake/17-patient-id-with-backslash/store").score()
    assert hospital.refused == {"1.dcm": "unreadable_patient"}


def test_limb_leads_that_contradict_and_equal_leads_are_told(
    bring: Callable[..., Hospital],
) -> None:
    hospital = bring("intake/18-limb-leads-that-contradict/store").score()
    warned = {
        patient: " ".join(warnings)
        for patient, warnings in all_rows(hospital.engine, ecgs.c.patient_id, ecgs.c.warnings)
        if warnings
    }
    assert len(warned) == 2
    assert list(hospital.refused.values()) == ["inverted_lead"]
    assert sum("contradict" in text for text in warned.values()) == 1
    assert sum("V2 and V3 are the same" in text for text in warned.values()) == 1


def test_other_names(bring: Callable[..., Hospital]) -> None:
    hospital = bring("intake/19-other-names/store").score()
    assert hospital.refused == {"a.ecg": "unsupported_format", "c.scp": "unsupported_format"}


def test_an_age_of_999(bring: Callable[..., Hospital]) -> None:
    hospital = bring("intake/20-age-999/store").score()
    assert ("B1", None) in all_rows(hospital.engine, ecgs.c.patient_id, ecgs.c.age)


def test_dicom_date_and_time_apart(bring: Callable[..., Hospital]) -> None:
    hospital = bring("intake/21-dicom-date-and-time-apart/store").score()
    times = dict(all_rows(hospital.engine, ecgs.c.patient_id, ecgs.c.acquired_at))
    assert times["B1"].isoformat() == "2026-03-01T08:30:00+00:00"


@pytest.mark.parametrize(
    ("case", "key", "reason"),
    [
        ("wfdb_pat_nul", "pat_nul.hea", "unreadable_patient"),
        ("dcm_pat_nul", "pat_nul.dcm", "unreadable_patient"),
        ("dcm_pat_long", "pat_long.dcm", "unreadable_patient"),
        ("dcm_pat_multi", "pat_multi.dcm", "unreadable_patient"),
        ("dcm_charset_badutf8", "charset_badutf8.dcm", "unreadable_patient"),
        ("wfdb_samples400digits", "samples400digits.hea", "implausible_size"),
        ("dcm_redos_label", "redos_label.dcm", "missing_leads"),
    ],
)
def test_hostile_ecgs_end_in_quarantine(
    bring: Callable[..., Hospital], case: str, key: str, reason: str
) -> None:
    assert bring(f"hostile/{case}", "ecg").score().refused == {key: reason}


def test_a_nul_in_a_lead_name_is_cleaned(bring: Callable[..., Hospital]) -> None:
    hospital = bring("hostile/wfdb_lead_nul_unit", "ecg").score()
    assert set(hospital.refused) == {"lead_nul_unit.hea"}
    assert all("\0" not in detail for (detail,) in all_rows(hospital.engine, quarantine.c.detail))


def test_a_time_before_christ(bring: Callable[..., Hospital]) -> None:
    hospital = bring("hostile/dcm_date_bc", "ecg").score()
    assert ("BADPAT8", None) in all_rows(hospital.engine, ecgs.c.patient_id, ecgs.c.acquired_at)


@pytest.mark.parametrize(
    ("case", "taken", "fault"),
    [
        ("manifest_time_10k", 6, "row_time_implausible"),
        ("manifest_path_long", 6, "row_path_unusable"),
        ("manifest_field_200k", 6, "row_not_a_record"),
        ("manifest_cr_in_line", 9, "row_not_a_record"),
        ("manifest_quote_open", 8, "row_not_a_record"),
        ("manifest_latin1", 4, "row_not_a_record"),
    ],
)
def test_hostile_manifests_cost_their_rows(
    bring: Callable[..., Hospital], case: str, taken: int, fault: str
) -> None:
    hospital = bring(f"hostile/{case}", "ecg").score()
    assert hospital.faults == {fault}
    assert len(all_rows(hospital.engine, manifest_rows.c.line)) == taken


def test_manifests_that_gave_ecgs_to_the_wrong_patient(bring: Callable[..., Hospital]) -> None:
    hospital = bring("hostile/patient_A_two_manifests", "ecg")
    put_named_less(hospital, "m/m0", 40)
    assert hospital.score().refused == {"m/m0.hea": "patient_mismatch"}


@pytest.mark.parametrize(
    ("case", "name", "reason"),
    [
        ("patient_B_line_removed", "m/m1", "unknown_patient"),
        ("patient_C_contradiction_later", "m/m2", "patient_mismatch"),
    ],
)
def test_manifests_that_change_their_mind(
    bring: Callable[..., Hospital], shared: Path, case: str, name: str, reason: str
) -> None:
    folder = shared / "findings/hostile" / case
    hospital = bring(f"hostile/{case}", only="none")
    put_named_less(hospital, name, 41)
    for number in (1, 2):
        hospital.store.put("ecg/record_list.csv", (folder / f"{number}_record_list.csv").read_bytes())
        hospital.score()
    assert hospital.refused == {f"{name}.hea": reason}
    assert listed(hospital.engine) == {"GOOD"}


def test_two_stray_quotes_on_two_lines(bring: Callable[..., Hospital]) -> None:
    hospital = bring("hostile/patient_D_two_stray_quotes", "ecg")
    for number in (1, 2):
        put_named_less(hospital, f"n/n{number}", 50 + number)
    hospital.score()
    assert hospital.refused == {"n/n1.hea": "unknown_patient", "n/n2.hea": "unknown_patient"}


@pytest.mark.parametrize(
    ("file", "studies", "faults"),
    [
        ("arabic.csv", {"S1"}, {"row_segment_unknown"}),
        ("cr.csv", {"S1"}, set()),
        ("date_10k.csv", {"S1"}, {"row_time_implausible"}),
        ("date_bc.csv", {"S1"}, {"row_time_implausible"}),
        ("digits.csv", {"S1"}, {"row_date_without_time", "row_segment_unknown"}),
        ("dup.csv", set(), {"file_column_doubled"}),
        ("field200k.csv", {"S1"}, {"row_not_a_record"}),
        ("latin1.csv", {"S1"}, {"row_not_a_record"}),
        ("long_patient.csv", {"S1"}, {"row_id_unreadable"}),
        ("long_study.csv", {"S1"}, {"row_id_unreadable"}),
        ("tz.parquet", {"a"}, set()),
        ("utf16.csv", set(), {"file_column_missing"}),
    ],
)
def test_hostile_reports_cost_their_rows(
    bring: Callable[..., Hospital], file: str, studies: set[str], faults: set[str]
) -> None:
    hospital = bring("hostile/cath", "reports", only=file)
    hospital.report()
    assert {study for (study,) in all_rows(hospital.engine, cath_studies.c.study_id)} == studies
    assert hospital.faults <= faults
    assert bool(hospital.faults) == bool(faults)


def test_reports_of_numbers_that_are_none(bring: Callable[..., Hospital]) -> None:
    hospital = bring("hostile/cath", "reports", only="nan.csv")
    hospital.report()
    assert all_rows(hospital.engine, cath_studies.c.study_id) == []
    assert len(all_rows(hospital.engine, source_faults.c.line)) == 3


def test_silent_files(bring: Callable[..., Hospital]) -> None:
    hospital = bring("ecg/silent", "ecg")
    summary = scoring.index(hospital.engine, hospital.store, hospital.settings)
    assert summary.ignored == {".csv": 1, ".json": 1, ".txt": 1}
    assert hospital.score().refused == {"holter.ecg": "truncated"}


def test_a_signal_with_another_stem(bring: Callable[..., Hospital]) -> None:
    hospital = bring("ecg/other-stem", "ecg").score()
    assert set(hospital.patients) | {key.partition(".")[0] for key in hospital.refused} == {"other"}


def test_format_61_is_format_16_in_another_order(bring: Callable[..., Hospital], shared: Path) -> None:
    from stence import ecg

    one, other = (ecg.read(shared / f"findings/ecg/format-61/{name}.hea") for name in ("f61", "same_in_16"))
    assert np.array_equal(one.signal, other.signal)


def test_the_layout_header_of_a_record_of_several_segments(bring: Callable[..., Hospital]) -> None:
    hospital = bring("ecg/layout", "ecg").score()
    assert hospital.refused == {"3269321_layout.hea": "unsupported_format"}
    assert any("several segments" in detail for (detail,) in all_rows(hospital.engine, quarantine.c.detail))


def put_named_less(hospital: Hospital, name: str, signal: int) -> None:
    """An ECG that names no patient."""
    from support.ecgs import heartbeats, store_ecg

    store_ecg(hospital.store, f"ecg/{name}.hea", heartbeats(signal))
