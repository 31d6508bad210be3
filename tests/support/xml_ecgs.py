"""Small ECG documents as machines write them: GE MUSE, Philips Sierra with XLI compression, HL7 aECG."""

from __future__ import annotations

import zlib
from base64 import b64encode, encodebytes
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from stence.ecg import Reason, Recording, UnusableEcgError, decode

Signals = Mapping[str, np.ndarray]
STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", *STORED[2:])


def signals(samples: int = 1000, names: Sequence[str] = STORED, seed: int = 3) -> dict[str, np.ndarray]:
    """Smooth 16-bit noise, another one in each lead."""
    steps = np.random.default_rng(seed).integers(-25, 26, (len(names), samples))
    return dict(zip(names, steps.cumsum(axis=1).astype("<i2"), strict=True))


def twelve(samples: int = 1000) -> dict[str, np.ndarray]:
    """Twelve leads whose limb leads follow from I and II, but for one step of rounding."""
    found = signals(samples)
    one, two = found["I"].astype(int), found["II"].astype(int)
    found |= {"III": two - one, "aVR": -(one + two) // 2, "aVL": one - two // 2, "aVF": two - one // 2}
    return {name: found[name].astype("<i2") for name in LEADS}


def muse_lead(name: str, samples: np.ndarray, **changed: object) -> str:
    fields = {
        "LeadByteCountTotal": 2 * len(samples),
        "LeadTimeOffset": 0,
        "LeadSampleCountTotal": len(samples),
        "LeadAmplitudeUnitsPerBit": 4.88,
        "LeadAmplitudeUnits": "MICROVOLTS",
        "LeadID": name,
        "LeadOffsetFirstSample": 0,
        "LeadSampleSize": 2,
        "LeadDataCRC32": zlib.crc32(samples.tobytes()),
        "WaveFormData": encodebytes(samples.tobytes()).decode(),
    }
    return f"<LeadData>{elements(fields | changed)}</LeadData>"


def muse_waveform(
    leads: Signals, kind: str = "Rhythm", lead: Mapping[str, object] | None = None, **changed: object
) -> str:
    fields = {
        "WaveformType": kind,
        "SampleType": "CONTINUOUS_SAMPLES",
        "SampleBase": 500,
        "SampleExponent": 0,
        "HighPassFilter": 5,
        "LowPassFilter": 150,
        "ACFilter": 50,
    }
    body = "".join(muse_lead(name, samples, **(lead or {})) for name, samples in leads.items())
    return f"<Waveform>{elements(fields | changed)}{body}</Waveform>"


def muse(*waveforms: str, inside: str = "", encoding: str = "ISO-8859-1") -> bytes:
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n'
    return f"{head}<RestingECG>{inside}{''.join(waveforms)}</RestingECG>".encode(encoding)


def aecg_lead(name: str, samples: np.ndarray, origin: float = 0, scale: float = 5, unit: str = "uV") -> str:
    return (
        f'<component><sequence><code code="MDC_ECG_LEAD_{name.upper()}"/><value>'
        f'<origin value="{origin}" unit="{unit}"/><scale value="{scale}" unit="{unit}"/>'
        f"<digits>\n {' '.join(map(str, samples))}\n</digits></value></sequence></component>"
    )


def aecg_set(leads: Signals, step: str = '<increment value="0.002" unit="s"/>', **lead: object) -> str:
    time = f'<value><head value="20240229101112.250-0500"/>{step}</value>'
    sequences = f'<component><sequence><code code="TIME_ABSOLUTE"/>{time}</sequence></component>'
    sequences += "".join(aecg_lead(name, samples, **lead) for name, samples in leads.items())
    return f"<component><sequenceSet>{sequences}</sequenceSet></component>"


def aecg_series(*sets: str, code: str = "RHYTHM", inside: str = "") -> str:
    return f'<component><series><code code="{code}"/>{inside}{"".join(sets)}</series></component>'


def aecg(*series: str, inside: str = "", encoding: str = "utf-8") -> bytes:
    head = f'<?xml version="1.0" encoding="{encoding}"?><!-- an aECG -->\n'
    root = f'<AnnotatedECG xmlns="urn:hl7-org:v3">{inside}{"".join(series)}</AnnotatedECG>'
    return f"{head}{root}".encode(encoding)


def sierra(
    waveform: bytes,
    attributes: Mapping[str, object],
    characteristics: Mapping[str, object],
    version: str = "1.04.01",
    inside: str = "",
    encoding: str = "utf-16",
) -> bytes:
    given = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    body = (
        f"<documentinfo><documentversion>{version}</documentversion></documentinfo>"
        '<dataacquisition date="2024-02-29" time="10:11:12"><machine machineid="US1">PageWriter</machine>'
        f"<signalcharacteristics>{elements(characteristics)}</signalcharacteristics></dataacquisition>{inside}"
        f"<waveforms><parsedwaveforms {given}>{b64encode(waveform).decode()}</parsedwaveforms></waveforms>"
    )
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    root = f'<restingecgdata xmlns="http://www3.medical.philips.com">{body}</restingecgdata>'
    return f"{head}{root}".encode(encoding)


def differences(leads: Signals) -> list[np.ndarray]:
    """The leads as XLI stores them: III, aVR, aVL, aVF less their prediction from other limb leads."""
    one, two, three = (leads[name].astype(int) for name in ("I", "II", "III"))
    predicted = {
        "III": two - one,
        "aVR": -((one + two) // 2),
        "aVL": (one - three) // 2,
        "aVF": (two + three) // 2,
    }
    return [predicted[name] - samples if name in predicted else samples for name, samples in leads.items()]


def xli(leads: Sequence[np.ndarray]) -> bytes:
    """Compress 16-bit leads (n,) each."""
    return b"".join(_chunk(np.asarray(samples, dtype=np.int64)) for samples in leads)


def _chunk(samples: np.ndarray) -> bytes:
    second = 2 * samples[1:-1] - samples[:-2] - samples[2:]
    stored = np.concatenate([samples[:2], second[1:] + 64, [0]])  # the last value is never used
    high, low = stored >> 8 & 255, stored & 255
    codes = lzw(bytes([*high.tolist(), *low.tolist()]))
    head = len(codes).to_bytes(4, "little") + b"\1\0" + int(second[0]).to_bytes(2, "little", signed=True)
    return head + codes


def lzw(data: bytes, bits: int = 10) -> bytes:
    """LZW with codes of constant width, most significant bit first, and a table that is never emptied."""
    table = {bytes([value]): value for value in range(256)}
    codes, held = [], b""
    for value in data:
        longer = held + bytes([value])
        if longer not in table:
            codes.append(table[held])
            if len(table) < 2**bits - 1:
                table[longer] = len(table)
            longer = longer[-1:]
        held = longer
    written = "".join(f"{code:0{bits}b}" for code in [*codes, table[held], 2**bits - 1])
    written += "0" * (-len(written) % 8)
    return int(written, 2).to_bytes(len(written) // 8, "big")


def elements(fields: Mapping[str, object]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())


def read(content: bytes) -> Recording:
    """Decode an ECG."""
    return decode("ecg.xml", {"ecg.xml": content})


def refused(content: bytes) -> Reason:
    """The reason for which an ECG is refused."""
    with pytest.raises(UnusableEcgError) as error:
        read(content)
    return error.value.finding.reason
