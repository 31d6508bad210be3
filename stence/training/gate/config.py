"""Criteria of the gate."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stence.domain.targets import DECISIVE


class GateConfig(BaseModel):
    """Criteria that a challenger must meet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(DECISIVE, description="The target that decides.")
    auroc_floor: float = Field(0.5, description="The AUROC's lower bound must be above this.")
    auroc_margin: tuple[float, float] = Field(
        (0.01, 0.05),
        description="Loss of AUROC below which a challenger is not worse: the least that the test sample can "
        "show, but at least the first and at most the second.",
    )
    alpha_per_year: float = Field(
        0.05, gt=0, lt=1, description="Chance to call a challenger better in a year in which none is."
    )
    unused_days: float = Field(
        90, gt=0, description="Days without a look for which the share of alpha_per_year is kept."
    )
    retraining_sd: float = Field(
        0.01, ge=0, description="SD of the true AUROC among retrainings that differ by their seed alone."
    )
    odds_factors: tuple[float, float] = Field(
        (1.1, 1.6), description="Factor of the odds that is tolerated, and one that must not be missed."
    )
    slope_factors: tuple[float, float] = Field(
        (1.2, 2.0), description="Factor of the calibration slope, likewise."
    )
    subgroup_floor: float = Field(0.5, description="Minimum AUROC in each sex and age band.")
    subgroup_margin: float = Field(
        0.05, gt=0, description="Loss of a subgroup's AUROC against the champion that must not pass."
    )
    subgroup_patients: int = Field(
        20, ge=1, description="Minimum patients, with and without, to judge a subgroup."
    )
    alerts_per_1000: tuple[float, float] = Field(
        (1, 250), description="Bounds of the workload at the threshold, in alerts per 1,000 patients."
    )

    @model_validator(mode="after")
    def _ordered(self) -> GateConfig:
        pairs = {
            name: getattr(self, name)
            for name in ("auroc_margin", "odds_factors", "slope_factors", "alerts_per_1000")
        }
        for name, (low, high) in pairs.items():
            if low > high:
                raise ValueError(f"{name}: the first value must not exceed the second, got {low:g}, {high:g}")
        return self
