"""Training checkpoints: one safetensors file with JSON state in its header, replaced atomically.

Nothing is pickled. The state of random generators is not stored: each epoch seeds them with the training's
seed and the epoch's number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, optim

from stence.errors import StenceError
from stence.files import write_whole

STATE = "state"


def write(path: Path, groups: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Write named groups of tensors and a JSON ``state``. After a crash the old or the new file exists."""
    tensors = {
        f"{group}/{name}": tensor.detach().cpu().contiguous()
        for group, members in groups.items()
        for name, tensor in members.items()
    }
    write_whole(path, save(tensors, metadata={STATE: json.dumps(state)}))


def read(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Read groups and state of a checkpoint; None if there is no file.

    Raises StenceError if the file is not a checkpoint.
    """
    if not path.exists():
        return None
    groups: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()[STATE])
            for key in file.keys():  # noqa: SIM118 (not a mapping)
                group, _, name = key.partition("/")
                groups.setdefault(group, {})[name] = file.get_tensor(key)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StenceError(
            f"{path} is not a training checkpoint ({error}): delete it to start anew"
        ) from error
    return groups, state


def optimizer_tensors(optimizer: optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's moments by ``index.name``. The state of AdamW consists of tensors only."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, moments in state.items() for name, tensor in moments.items()}


def restore_optimizer(optimizer: optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the moments. Learning rates and other options of the optimizer do not change."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
