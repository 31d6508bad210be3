"""How the cores and GPUs of a host are shared out among its workers, and what stops one."""

from __future__ import annotations

import os

import pytest
import torch

from stence.scoring.run import was_stopped
from stence.scoring.workers import VISIBLE_GPUS, shares
from stence.settings import Settings


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE_GPUS, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.usefixtures("eight_cores")
def test_every_core_belongs_to_one_worker() -> None:
    found = shares(Settings(device="cpu"), 3)
    assert [share.cores for share in found] == [(0, 3, 6), (1, 4, 7), (2, 5)]
    assert {share.gpu for share in found} == {None}


@pytest.mark.usefixtures("eight_cores")
def test_more_workers_than_cores_share_them() -> None:
    assert [share.cores for share in shares(Settings(device="cpu"), 10)][8:] == [(0,), (1,)]


@pytest.mark.usefixtures("eight_cores", "four_gpus")
def test_each_worker_has_a_gpu_of_its_own_and_further_ones_share() -> None:
    assert [share.gpu for share in shares(Settings(), 5)] == ["0", "1", "2", "3", "0"]
    assert {share.gpu for share in shares(Settings(device="cpu"), 2)} == {None}


@pytest.mark.usefixtures("eight_cores", "four_gpus")
def test_gpus_that_the_operator_reserved_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE_GPUS, "2,GPU-5f7a")
    assert [share.gpu for share in shares(Settings(), 3)] == ["2", "GPU-5f7a", "2"]


def test_a_signal_amid_the_handling_of_an_error_is_no_failure() -> None:
    with pytest.raises(ValueError, match="of the library") as caught:
        interrupted_amid_a_librarys_work()
    assert was_stopped(caught.value)
    assert was_stopped(KeyboardInterrupt())
    assert not was_stopped(ValueError())


def interrupted_amid_a_librarys_work() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise ValueError("of the library")  # noqa: B904
