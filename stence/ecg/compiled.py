"""Numba compilation for stence: without the GIL, and cached on disk if possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])

REORDERING = {"reassoc", "contract", "arcp", "nsz"}
"""Fast-math flags for floating point. NaN and infinity keep their meaning."""


def compiled(function: Function) -> Function:
    """Compile ``function`` at its first call. Several threads may call the result at the same time.

    Each process compiles again if neither the package's folder nor the user's cache is writable, as in a
    read-only container.
    """
    return _compiled(function, REORDERING)


def compiled_exactly(function: Function) -> Function:
    """Compile like ``compiled``, but without fast-math: results equal numpy's to the last bit."""
    return _compiled(function, fastmath=set())


def _compiled(function: Function, fastmath: set[str]) -> Function:
    try:
        decorate = numba.njit(cache=True, nogil=True, fastmath=fastmath, error_model="numpy")
        return cast(Function, decorate(function))
    except RuntimeError:  # "cannot cache function: no locator available"
        decorate = numba.njit(nogil=True, fastmath=fastmath, error_model="numpy")
        return cast(Function, decorate(function))
