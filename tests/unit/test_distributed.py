"""Two processes that train together do what one would do with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from stence.errors import StenceError
from stence.fitting import checkpoint, distributed
from support import two_processes
from support.finetuning import tiny_blocks
from support.pairs import LeadPowers

TESTS = Path(__file__).parents[1]


def in_two_processes(command: str, folder: Path) -> None:
    """Run a command of tests/support/two_processes.py, with the code beside these tests.

    Without it, the processes would import what is installed, which is not what is tested in a copy.
    """
    path = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
            str(TESTS / "support/two_processes.py"), command, str(folder),
        ],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )  # fmt: skip


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.slow
def test_loss_and_gradients_are_those_of_one_process_with_all_rows(tmp_path: Path) -> None:
    model = two_processes.Both()
    loss = model(*two_processes.batch())
    loss.backward()
    in_two_processes("losses", tmp_path)
    for rank in ("0", "1"):
        found = load_file(tmp_path / rank)
        torch.testing.assert_close(found.pop("loss"), loss.detach())
        wanted = {name: weight.grad for name, weight in model.named_parameters()} | dict(
            model.named_buffers()
        )
        torch.testing.assert_close(found, wanted)


@pytest.mark.slow
def test_two_processes_share_a_training_and_go_on_from_its_checkpoint(tmp_path: Path) -> None:
    in_two_processes("training", tmp_path)
    saved = checkpoint.read(tmp_path / "whole")
    assert saved is not None
    groups, history = saved
    assert (history["epochs"], history["steps"], history["judged_epochs"]) == (4, 12, [2, 4])
    tuned = [load_file(tmp_path / rank / "tuned.safetensors") for rank in ("0", "1")]
    assert same(*tuned), "gradients of an encoder that learns late are not shared"
    torch.manual_seed(0)
    assert not torch.equal(tuned[0]["encoder.layers.0.weight"], LeadPowers().layers[0].weight)
    for rank in ("0", "1"):
        for way in ("whole", "killed"):
            assert same(groups["best"], load_file(tmp_path / rank / f"{way}.safetensors"))


@pytest.mark.slow
def test_two_processes_share_the_gradients_of_a_backbone_that_is_trained(tmp_path: Path) -> None:
    in_two_processes("finetuning", tmp_path)
    first, second = (load_file(tmp_path / f"backbone-{rank}.safetensors") for rank in range(2))
    assert same(first, second)
    before = tiny_blocks().state_dict()
    unchanged = {name for name, tensor in before.items() if torch.equal(tensor, first[name])}
    assert not unchanged


def test_a_batch_of_10_is_shared_by_8_processes_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world", lambda: 8)
    shards = []
    for rank in range(8):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shards.append(distributed.shard(np.arange(10)).tolist())
    assert sorted(row for rows in shards for row in rows) == list(range(10))
    assert {len(rows) for rows in shards} == {1, 2}
    with pytest.raises(StenceError, match="A batch of 7 cannot be shared by 8 processes"):
        distributed.shard(np.arange(7))


def test_one_process_alone_needs_no_others() -> None:
    assert (distributed.rank(), distributed.world()) == (0, 1)
    rows = np.arange(5)
    assert distributed.shard(rows).tolist() == rows.tolist()
    own = torch.ones(2, 3)
    assert distributed.gathered(own) is own
    assert distributed.from_first(0.5) == 0.5
