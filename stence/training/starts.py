"""Initial weights of the angiogram's side of a retraining: its backbone, and its teacher."""

from __future__ import annotations

from stence.angiography.backbone import Backbone
from stence.errors import ConfigurationError
from stence.fitting.start import Start, find_start, origin_of
from stence.objects import ObjectStore
from stence.settings import Settings
from stence.training.config import RetrainConfig
from stence.weights import IMPORTABLES
from stence.weights.published import SEGMENT_MIL
from stence.weights.segment_mil_names import BACKBONE, backbone_of


def first_backbone(
    store: ObjectStore, settings: Settings, config: RetrainConfig, backbone: Backbone
) -> Start:
    """Return the weights of the blocks that are trained with the teacher, and the whole backbone's origin."""
    origin, trained = backbone.version, config.teacher.finetune_blocks
    if config.backbone in IMPORTABLES:
        origin = origin_of(store, settings, config.backbone)
    if trained:
        origin += f"; its last {trained} blocks are trained with the teacher"
    return Start(origin, backbone.initial_blocks)


def first_teacher(store: ObjectStore, settings: Settings, config: RetrainConfig, patch_dim: int) -> Start:
    """Read the weights that the teacher starts from, without a backbone.

    Raises WeightsError if they are missing or do not fit, and ConfigurationError if they were trained with
    another backbone.
    """
    start = find_start(store, settings, config.teacher)
    if start.weights is None:
        return start
    if config.backbone != SEGMENT_MIL and backbone_of(start.weights):
        raise ConfigurationError(
            f"The teacher's weights were trained with their own backbone: set backbone: {SEGMENT_MIL}."
        )
    own = {name: tensor for name, tensor in start.weights.items() if not name.startswith(BACKBONE)}
    config.teacher.build(patch_dim, own)
    return Start(start.origin, own)
