"""MFER, the medical waveform format encoding rules, for the standard 12-lead ECG (ISO 22077-1 and -2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.domain.patients import PatientIdError, patient_id
from stence.ecg.formats.cursor import ByteOrder, Cursor
from stence.ecg.formats.limits import Limits, check_rate, check_size
from stence.ecg.leads import complete, find_leads, lead_of_code
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import Recording, Sex

NAME = "MFER"
