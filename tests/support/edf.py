"""EDF+ files, written by edfio."""

from __future__ import annotations

import datetime as dt
import io

import edfio
import numpy as np


def channel(label: str, samples: np.ndarray, *, unit: str = "mV", rate: float = 500) -> edfio.EdfSignal:
    return edfio.EdfSignal(
        samples, rate, label=label, physical_dimension=unit, prefiltering="HP:0.05Hz LP:150Hz N:50Hz"
    )


def edf(channels: list[edfio.EdfSignal], **particulars: object) -> bytes:
    patient = edfio.Patient(code="MCH-0234567", sex="F", birthdate=dt.date(1951, 5, 2), name="Haagse_Harry")
    recording = edfio.Recording(startdate=dt.date(2012, 5, 2), equipment_code="Cardio_9")
    content = io.BytesIO()
    edfio.Edf(
        channels,
        **{"patient": patient, "recording": recording, "starttime": dt.time(8, 30, 15), **particulars},
    ).write(content)
    return content.getvalue()
