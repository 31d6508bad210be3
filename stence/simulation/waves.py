"""Mean waves of a beat as Gaussian dipoles; times in seconds from the R peak, dipoles in mV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Waves:
    """Gaussians with a common time course in X, Y, Z: centre (k,), width (k,) s, dipole (k, 3) mV."""

    centre: NDArray[np.float64]
    width: NDArray[np.float64]
    dipole: NDArray[np.float64]

    def at(self, time: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the summed dipole (3, n) at each time (n,)."""
        centre, width = self.centre.astype(np.float32), self.width.astype(np.float32)
        z = (time - centre[:, None]) / width[:, None]
        return self.dipole.T.astype(np.float32) @ np.exp(np.float32(-0.5) * z * z)

    def turned(self, rotation: NDArray[np.float64]) -> Waves:
        """Return the waves with every dipole turned by a rotation (3, 3)."""
        return Waves(self.centre, self.width, self.dipole @ rotation.T)

    def scaled(self, factor: float) -> Waves:
        """Return the waves with every dipole times ``factor``."""
        return Waves(self.centre, self.width, self.dipole * factor)

    def moved(self, change: NDArray[np.float64]) -> Waves:
        """Return the waves with every dipole plus ``change`` (k, 3)."""
        return Waves(self.centre, self.width, self.dipole + change)

    def stretched(self, factor: float) -> Waves:
        """Return the waves with times multiplied by ``factor``."""
        return Waves(self.centre * factor, self.width * factor, self.dipole)

    def joined(self, other: Waves) -> Waves:
        """Return the sum of both."""
        return Waves(
            np.concatenate([self.centre, other.centre]),
            np.concatenate([self.width, other.width]),
            np.vstack([self.dipole, other.dipole]),
        )


def _waves(*rows: tuple[float, float, float, float, float]) -> Waves:
    """Build waves from rows of centre and width in ms, X, Y, Z in mV."""
    table = np.array(rows)
    return Waves(table[:, 0] / 1000, table[:, 1] / 1000, table[:, 2:])


# Fitted by least squares to the median vector loop of 25 sinus beats with normal ST-T and a narrow QRS
# (PhysioNet/CinC Challenge 2021; inverse of Dower's matrix), then rounded.
BEAT = {
    "P": _waves((-172, 26, 0.028, 0.032, -0.018), (-146, 22, 0.042, 0.070, 0.012)),
    "QRS": _waves(
        (-21.7, 7.6, 0.02, -0.01, -0.27),
        (-18.4, 4.2, 0.35, 0.06, -0.05),
        (-5.1, 7.6, 1.20, 0.46, -0.01),
        (7.3, 4.2, 0.11, 0.04, 0.19),
        (9.0, 12.0, -0.22, 0.03, 0.62),
        (40.0, 18.0, -0.02, 0.00, -0.03),
    ),
    "T": _waves((175, 56, 0.10, 0.01, -0.12), (245, 38, 0.23, 0.09, -0.08), (310, 40, 0.06, 0.03, -0.02)),
}
ST_SEGMENT = _waves((95, 45, 0.075, 0.075, 0.075))
"""ST dipole, multiplied by the direction away from the ischaemic muscle."""
RIGHT_BLOCK = _waves((42, 15, -0.45, -0.05, -0.65), (220, 60, 0.05, 0.02, 0.12))
"""Late, slow activation of the right ventricle, to the right and front, with an opposite T wave."""
LEFT_BLOCK_T = _waves((190, 60, -0.10, -0.02, -0.20), (260, 42, -0.16, -0.06, -0.14))
ECTOPIC = {
    "QRS": _waves((-22, 24, 0.9, 0.5, 0.3), (22, 26, 0.5, 0.9, 0.6)),
    "T": _waves((170, 60, -0.15, -0.15, -0.1), (260, 55, -0.35, -0.35, -0.2)),
}
