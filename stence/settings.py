"""Typed settings, read once by the command line or a flow, and passed to the library."""

from __future__ import annotations

import os
import re
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from stence.domain.machine import usable_cores
from stence.domain.retention import KEEP_ALL, Retention
from stence.domain.signal_quality import DEFAULT_QUALITY, QualityLimits
from stence.errors import ConfigurationError

PREFIX = "STENCE_"
NESTED = "__"
"""Between the name of a group of settings and the name of one of them."""
OTHERS = ("HOME",)
"""Variables not for the library: the path of the repository, for workers of a Prefect work pool."""


class Settings(BaseSettings):
    """Settings from the environment (prefix ``STENCE_``) or a ``.env`` file in the working folder.

    Raises ConfigurationError for an unknown variable with this prefix.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTED, env_file=".env", extra="ignore", frozen=True
    )

    data_dir: Path = Field(
        Path(".stence"), description="Folder of the embedded Postgres and the local store."
    )
    database_url: SecretStr | None = Field(
        None,
        description="postgresql://user:password@host/database; empty: the embedded Postgres in data_dir.",
    )
    store_url: str | None = Field(
        None, description="s3://bucket/prefix or file:///folder; empty: the folder `store` in data_dir."
    )
    s3_endpoint_url: str | None = Field(None, description="URL of MinIO, Ceph or similar; empty: AWS.")
    s3_region: str | None = Field(None, description="Region of the bucket; empty: boto3's own chain.")
    s3_access_key: SecretStr | None = Field(
        None, description="Empty: boto3's own chain (environment, files, role)."
    )
    s3_secret_key: SecretStr | None = Field(None, description="Secret of s3_access_key.")

    ecg_prefix: str = Field("ecg/", description="Prefix of ECGs and their record_list.csv in the store.")
    listing: Literal["full", "days", "announced"] = Field(
        "full",
        description="ECGs that an index looks for: all, those of the last days by day_prefix, or "
        "those of the table announced_objects alone. Announced files are read in any case.",
    )
    day_prefix: str = Field(
        "%Y/%m/%d/", description="Prefix of a day's ECGs below ecg_prefix, as a strftime format."
    )
    listing_days: int = Field(3, ge=0, le=366, description="Days before today that listing=days lists.")
    full_listing_hours: float = Field(
        24, gt=0, description="Hours after which an index lists all ECGs in any case."
    )
    report_prefix: str = Field("reports/", description="Prefix of cath reports in the store.")
    patient_prefix: str = Field("patients/", description="Prefix of tables of merged patient numbers.")
    angiogram_prefix: str = Field(
        "angio/", description="Prefix of coronary angiograms (XA DICOM) in the store."
    )
    model_prefix: str = Field("models/", description="Prefix of model artefacts in the store.")
    card_prefix: str = Field("cards/", description="Prefix of model cards in the store.")
    training_prefix: str = Field("training/", description="Prefix of teachers and pretrained pairs.")
    validation_prefix: str = Field("validation/", description="Prefix of reports of validations.")
    study_prefix: str = Field("studies/", description="Prefix of the results of studies.")
    task_prefix: str = Field("tasks/", description="Prefix of models for other labels.")
    feature_prefix: str = Field("features/", description="Prefix of patch features of key frames.")
    weights_prefix: str = Field("weights/", description="Prefix of imported published weights.")
    monitoring_prefix: str = Field("monitoring/", description="Prefix of monitoring reports.")
    page_prefix: str = Field("pages/", description="Prefix of pages of flagged ECGs, which name patients.")
    pages_per_run: int = Field(
        100, ge=0, description="Most pages that a score run writes; 0: pages are written on demand only."
    )
    export_prefix: str = Field("export/", description="Prefix of exported flags.")
    timezone: str = Field("UTC", description="Time zone of file times without time zone.")

    auto_export: Literal["off", "fhir", "csv"] = Field(
        "off", description="Format in which a score run exports the flags at its end; off: none."
    )
    fhir_url: str | None = Field(
        None, description="Base URL of a FHIR R4 server that gets exported flags; empty: files in the store."
    )
    fhir_token: SecretStr | None = Field(None, description="Bearer token for fhir_url.")
    patient_system: str | None = Field(
        None, description="System URL of the hospital's patient numbers in exports; empty: pseudonyms."
    )
    pseudonym_key: SecretStr | None = Field(
        None, description="Key of the patients' pseudonyms in tables and exports; empty: the one in its file."
    )
    pseudonym_key_file: Path | None = Field(
        None, description="File of that key; empty: `pseudonym.key` in data_dir, drawn at first use."
    )

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA if available.")
    batch_size: int = Field(256, ge=1, le=8192, description="ECGs claimed, inferred and written together.")
    prefetch_batches: int = Field(2, ge=1, le=64, description="Batches that may wait between two stages.")
    fetch_threads: int = Field(8, ge=1, le=256, description="Threads of a process that fetch objects.")
    decode_processes: int = Field(
        default_factory=usable_cores,
        ge=1,
        le=256,
        description="Child processes that fetch, decode, check and prepare ECGs, or decode angiograms.",
    )
    decode_seconds: float = Field(
        60, gt=0, description="An ECG or angiogram that takes longer to decode is quarantined."
    )
    shard_size: int = Field(2048, ge=1, description="ECGs in one Prefect task.")
    archive_minutes: int = Field(
        40,
        ge=0,
        le=24 * 60,
        description="Minutes in which a run of the archive flow takes ECGs; 0: the archive waits.",
    )
    windows_per_ecg: int = Field(3, ge=1, le=20, description="3 s windows averaged over an ECG.")
    lease_seconds: int = Field(300, ge=1, description="Lease of a run and its claims, in seconds.")
    outage_seconds: int = Field(
        120,
        ge=0,
        description="Time that a run retries during an outage of Postgres, the store or the FHIR server.",
    )
    max_object_bytes: int = Field(
        64 * 2**20, ge=1, description="An ECG whose files are larger together is quarantined, not read."
    )
    max_ecg_channels: int = Field(64, ge=12, description="Channels of an ECG; one with more is quarantined.")
    max_ecg_samples: int = Field(
        2**22,
        ge=2**16,
        description="Samples of all channels of an ECG together; one with more is quarantined.",
    )
    max_ecg_nesting: int = Field(
        32, ge=8, le=200, description="Depth of nested elements in an XML or DICOM file."
    )
    max_ecg_elements: int = Field(200_000, ge=1000, description="Elements of an XML or DICOM file.")
    max_expansion: int = Field(
        200, ge=2, description="Bytes that a compressed file or archive may give for each of its bytes."
    )
    max_archive_members: int = Field(10_000, ge=1, description="Members of a zip or tar file.")
    max_bytes_in_flight: int = Field(
        512 * 2**20, ge=1, description="ECG files in memory at once, but for one that is larger."
    )

    quality: QualityLimits = Field(
        DEFAULT_QUALITY, description="Limits of the signal's quality check, one variable each."
    )

    retention: Retention = Field(KEEP_ALL, description="Days that rows are kept, one variable a kind.")

    max_angiogram_bytes: int = Field(
        512 * 2**20, ge=1, description="A larger angiogram is quarantined, not read."
    )
    max_angiogram_frames: int = Field(
        20_000, ge=2, le=20_000, description="Frames of a run; one with more is quarantined."
    )
    max_angiogram_pixels: int = Field(
        2**31, ge=2**20, le=2**31, description="Pixels of all frames of a run; one with more is quarantined."
    )
    decode_memory_bytes: int = Field(
        4 * 2**30, ge=2**28, description="An ECG or angiogram that needs more memory is quarantined."
    )
    preset: str = Field(
        "paper", description="Configuration of the retrain flow: a preset's name, or a YAML file of your own."
    )
    min_new_pairs: int = Field(
        50,
        ge=0,
        description="Smallest number of new ECG-angiogram pairs since the last training for the next one.",
    )
    training_processes: int = Field(1, ge=1, le=64, description="Processes of a training, one per GPU.")
    shadow_days: float = Field(14, ge=0, description="Days in shadow of a model that passed the gate.")
    auto_promote: bool = Field(
        False,
        description="A shadow that is better than the champion becomes champion after its days; "
        "otherwise a person decides.",
    )

    two_person_approval: bool = Field(
        False,
        description="A promotion needs a request and the approval of another person; a shadow that is better "
        "than the champion is requested, not promoted.",
    )

    monitor_days: int = Field(
        3, ge=1, le=366, description="Complete days that monitoring recomputes: ECGs may arrive late."
    )
    reference_days: int = Field(
        28, ge=1, le=366, description="Days of routine in a model's reference profile."
    )
    outcome_days: int = Field(
        90, ge=1, le=366, description="A cath report up to so many days after an ECG is its outcome."
    )
    monitor_bootstraps: int = Field(500, ge=100, description="Resamples of an expected metric's interval.")
    verification_per_1000: int = Field(
        0, ge=0, le=1000, description="Patients without a flag proposed for an examination, of 1000; 0: none."
    )
    drift_permutations: int = Field(500, ge=100, description="Permutations of a drift test.")
    drift_sample: int = Field(1000, ge=50, description="Most ECGs of a window for embedding drift.")
    alert_rules: Path | None = Field(None, description="Your own alert rules (YAML); empty: rules of stence.")

    def model_post_init(self, context: Any, /) -> None:
        """Refuse misspelt variables. Otherwise the default would apply without a warning."""
        known = set(variables()) | set(OTHERS)
        for variable in sorted({*os.environ, *dotenv_values(str(self.model_config["env_file"]))}):
            name = variable.upper().removeprefix(PREFIX)
            if variable.upper().startswith(PREFIX) and name not in known:
                nearest = get_close_matches(name, known, 1)
                all_settings = "deployments/REFERENCE.md lists all settings."
                hint = f"do you mean {PREFIX}{nearest[0]}?" if nearest else all_settings
                raise ConfigurationError(f"{variable} is no setting of stence: {hint}")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("no time zone has this name; take one such as Europe/Berlin") from None
        return value

    @field_validator("day_prefix")
    @classmethod
    def _of_a_day(cls, value: str) -> str:
        if "%d" not in value and "%j" not in value:
            raise ValueError("not a prefix of one day; take a strftime format such as %Y/%m/%d/")
        return value.lstrip("/")

    @field_validator("fhir_url")
    @classmethod
    def _server(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://host")
        if parts.scheme not in {"https", "http"} or not parts.hostname or parts.query or parts.username:
            raise ValueError("not of the form https://host/path; a password belongs in STENCE_FHIR_TOKEN")
        return value and value.rstrip("/")

    @field_validator("patient_system")
    @classmethod
    def _absolute_uri(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(https?://|urn:)[^\s|]+", value):
            raise ValueError("not an absolute URI such as https://hospital.example/patients or urn:oid:1.2.3")
        return value

    @field_validator("pseudonym_key")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().strip():
            raise ValueError("empty, which is no key; take the line out, or see deployments/THREATS.md")
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator(
        "ecg_prefix",
        "report_prefix",
        "patient_prefix",
        "angiogram_prefix",
        "model_prefix",
        "card_prefix",
        "feature_prefix",
        "weights_prefix",
        "training_prefix",
        "task_prefix",
        "study_prefix",
        "validation_prefix",
        "monitoring_prefix",
        "page_prefix",
        "export_prefix",
    )
    @classmethod
    def _folder(cls, value: str) -> str:
        return value.strip("/") + "/"

    @property
    def ward_list_key(self) -> str:
        """Key of the newest list of patients to review."""
        return f"{self.page_prefix}ward-list.html"

    @property
    def resolved_store_url(self) -> str:
        """URL of the store, or the default."""
        return self.store_url or (self.data_dir / "store").as_uri()


class Variable(NamedTuple):
    """One setting as a variable of the environment."""

    default: Any
    description: str | None
    default_factory: Any = None


def variables() -> dict[str, Variable]:
    """Return all settings by the names of their variables without ``PREFIX``, those of groups one by one."""
    found: dict[str, Variable] = {}
    for name, setting in Settings.model_fields.items():
        if is_dataclass(setting.default):
            for part in fields(setting.default):
                variable = Variable(part.default, part.metadata["description"])
                found[f"{name}{NESTED}{part.name}".upper()] = variable
        else:
            found[name.upper()] = Variable(setting.default, setting.description, setting.default_factory)
    return found
