"""The heart as one moving dipole: Gaussian waves in X, Y, Z, and their projection on the leads.

Waves: sums of Gaussians as in Sameni et al. 2007 (EURASIP J. Adv. Signal Process. 2007:43407), after
McSharry et al. 2003 (IEEE Trans. Biomed. Eng. 50:289). Axes: X to the left, Y to the feet, Z to the back;
millivolts. Leads: the matrix of Dower et al. 1980 (Clin. Cardiol. 3:87), altered for each torso.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.simulation.patients import Patient
from stence.simulation.rhythm import Rhythm
from stence.simulation.waves import BEAT, ECTOPIC, LEFT_BLOCK_T, RIGHT_BLOCK, ST_SEGMENT, Waves

LEAD_FIELD = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""Rows of Dower's matrix for I, II, V1-V6."""
TOWARDS = np.array([[0.45, 0.05, -0.89], [0.93, -0.25, 0.27], [-0.05, 0.98, 0.19]])
"""Unit vectors (3, 3) from the heart's centre to the muscle of LAD, LCX and RCA."""
ISCHAEMIA_SPREAD, SCAR_SPREAD = 0.72, 0.85
"""Standard deviations of apparent ischaemia and scar, in an ECG, without disease."""
VISIT_SHARE = 0.2
"""Share of this variance that changes between two ECGs of the same person."""


class Manifest(NamedTuple):
    """Visible ischaemia and scar by territory (3,), in units of a fully ischaemic or scarred territory."""

    ischaemia: NDArray[np.float64]
    scar: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heart:
    """Differences of a person's heart and torso from the mean, and the person's part of ``Manifest``."""

    gain: float
    atrial_gain: float
    repolarisation_gain: float
    qrs_stretch: float
    qt_stretch: float
    turn: NDArray[np.float64]
    repolarisation_turn: NDArray[np.float64]
    lead_field: NDArray[np.float64]
    conduction: str
    own: Manifest


def draw_heart(rng: np.random.Generator, patient: Patient) -> Heart:
    """Draw between-patient differences, with the known effects of age, sex and hypertrophy."""
    decades = (patient.age - 63) / 10
    woman = patient.sex == "F"
    axis, depth, tilt = rng.normal(
        [-4 * decades - 8 * patient.hypertrophy, -5 * patient.hypertrophy, 0], [20, 17, 10]
    )
    field = LEAD_FIELD * (1 + 0.14 * rng.standard_normal((8, 3))) + 0.05 * rng.standard_normal((8, 3))
    blocks = np.array([0.02, 0.01]) * np.exp(0.5 * decades)
    conduction = str(rng.choice(["right", "left", "normal"], p=[*blocks, 1 - blocks.sum()]))
    steady = np.sqrt(1 - VISIT_SHARE)
    log_gain = 0.17 - 0.06 * woman - 0.02 * decades + 0.3 * patient.hypertrophy
    return Heart(
        gain=float(np.exp(rng.normal(log_gain, 0.26))),
        atrial_gain=float(np.exp(rng.normal(0, 0.25))),
        repolarisation_gain=float(np.exp(rng.normal(0.05 - 0.15 * woman - 0.05 * decades, 0.2))),
        qrs_stretch=float(np.exp(rng.normal(0.13 + 0.06 * patient.hypertrophy - 0.04 * woman, 0.11))),
        qt_stretch=float(np.exp(rng.normal(0.02 * woman + 0.01 * decades, 0.04))),
        turn=_rotation(axis, depth, tilt),
        repolarisation_turn=_rotation(*rng.normal(0, [8, 10, 5])),
        lead_field=field,
        conduction=conduction,
        own=Manifest(
            steady * ISCHAEMIA_SPREAD * rng.standard_normal(3),
            steady * SCAR_SPREAD * rng.standard_normal(3),
        ),
    )


def confounders(patient: Patient, heart_rate: float) -> NDArray[np.float64]:
    """Return the visible ischaemia (3,) caused by hypertrophy (strain, mostly lateral), rate and age."""
    common = 0.15 * (heart_rate - 72) / 20 + 0.05 * (patient.age - 63) / 10
    return common + patient.hypertrophy * np.array([0.15, 0.45, 0.1])


def ventricles(heart: Heart, manifest: Manifest) -> tuple[Waves, Waves]:
    """Compute depolarisation (QRS) and repolarisation (ST-T) of a conducted beat.

    With u_k pointing to territory k, m_k its manifest ischaemia and q_k its manifest scar, in units of
    the heart's gain:
    ST dipole = -0.075 sum m_k u_k (subendocardial ischaemia turns the ST vector away);
    T dipole  = T - |T| 0.5 sum m_k u_k (flattening, then inversion, over the territory);
    initial QRS dipoles = QRS - 0.22 sum q_k u_k (lost R, gained Q over the scar).
    """
    away = -TOWARDS.T @ manifest.ischaemia
    lost = -TOWARDS.T @ manifest.scar
    qrs, t = BEAT["QRS"].turned(heart.turn), BEAT["T"].turned(heart.turn @ heart.repolarisation_turn)
    if heart.conduction == "left":
        qrs, t = qrs.stretched(1.55), LEFT_BLOCK_T.turned(heart.turn)
    elif heart.conduction == "right":
        qrs = qrs.joined(RIGHT_BLOCK.turned(heart.turn))
    scarred = qrs.moved(0.22 * np.exp(-(((qrs.centre + 0.016) / 0.012) ** 2))[:, None] * lost)
    size = np.linalg.norm(t.dipole, axis=1, keepdims=True) * heart.repolarisation_gain
    t = t.scaled(heart.repolarisation_gain).moved(0.5 * size * away)
    st = Waves(ST_SEGMENT.centre, ST_SEGMENT.width, ST_SEGMENT.dipole * away)
    return scarred.scaled(heart.gain).stretched(heart.qrs_stretch), st.joined(t).scaled(heart.gain)


def leads(heart: Heart, manifest: Manifest, rhythm: Rhythm, samples: int, rate: float) -> NDArray[np.float32]:
    """Compute the noise-free leads I, II, V1-V6 (8, samples) in mV at ``rate`` Hz.

    P waves have a fixed distance to the next R peak. ST-T has a fixed distance to the last R peak, stretched
    with the cube root of the preceding RR (Fridericia 1920).
    """
    time = np.arange(samples, dtype=np.float32) / np.float32(rate)
    last = np.searchsorted(rhythm.r_peaks, time, side="right") - 1
    since, until = time - rhythm.r_peaks[last], time - rhythm.r_peaks[last + 1]
    nearest = np.where(since < -until, last, last + 1)
    qrs, st_t = ventricles(heart, manifest)
    stretch = np.cbrt(rhythm.preceding_rr / 0.85) * heart.qt_stretch
    from_nearest = time - rhythm.r_peaks[nearest]
    since_stretched = since / stretch[last]
    ectopic = rhythm.ventricular
    p = BEAT["P"].scaled(heart.atrial_gain).turned(heart.turn)
    dipole = p.at(until) * rhythm.has_p[last + 1]
    dipole += qrs.at(from_nearest) * ~ectopic[nearest] + st_t.at(since_stretched) * ~ectopic[last]
    if ectopic.any():
        wide = ECTOPIC["QRS"].turned(rhythm.ectopic_turn), ECTOPIC["T"].turned(rhythm.ectopic_turn)
        dipole += wide[0].at(from_nearest) * ectopic[nearest] + wide[1].at(since) * ectopic[last]
    dipole += rhythm.fibrillation(time)
    dipole *= 1 + rhythm.breathing_depth[:, None] * np.sin(2 * np.pi * rhythm.breathing_hz * time)
    return (heart.lead_field.astype(np.float32) @ dipole).astype(np.float32)


def _rotation(frontal: float, horizontal: float, sagittal: float) -> NDArray[np.float64]:
    """Return the rotation by degrees about Z (axis), Y (clockwise seen from the feet) and X."""
    angles = np.deg2rad([frontal, horizontal, sagittal])
    (cz, cy, cx), (sz, sy, sx) = np.cos(angles), np.sin(angles)
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    return about_z @ about_y @ about_x
