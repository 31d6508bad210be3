"""The available backbones, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stence.angiography.backbone import Backbone
from stence.dependencies import require
from stence.errors import ConfigurationError
from stence.weights.published import DINOV2, SEGMENT_MIL

if TYPE_CHECKING:
    from stence.objects import ObjectStore
    from stence.settings import Settings

RIDGES = "ridges"
BACKBONES = (RIDGES, DINOV2, SEGMENT_MIL)


def open_backbone(
    name: str, store: ObjectStore, settings: Settings, device: str, trained_blocks: int = 0
) -> Backbone:
    """Open the backbone ``name``, one of BACKBONES, on ``device`` (``cpu`` or ``cuda``).

    ``ridges`` needs no weights and runs on the CPU. ``dinov2-vits14`` reads its imported weights from the
    store, ``segment-mil`` those of the imported teacher's backbone. With ``trained_blocks``, the backbone
    ends before its last so many blocks. Raises ConfigurationError for another name, more blocks than there
    are, or without the extra ``training``; WeightsError if the weights are missing or altered.
    """
    if name == RIDGES and trained_blocks:
        raise ConfigurationError(
            f"teacher.finetune_blocks is {trained_blocks}, but {RIDGES} has no weights to train: "
            f"set it to 0, or backbone: {DINOV2}."
        )
    if name == RIDGES:
        from stence.angiography.ridges import Ridges  # noqa: PLC0415 -- torch takes seconds to import

        return Ridges()
    if name in (DINOV2, SEGMENT_MIL):
        require("training", f"The backbone {name}")
        from stence.angiography.dinov2 import open_dinov2  # noqa: PLC0415

        return open_dinov2(store, settings, device, name, trained_blocks)
    raise ConfigurationError(f"there is no backbone {name!r}; known: {', '.join(BACKBONES)}")
