"""Numba's compiler as stence uses it: without the GIL, cached on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])

REORDERING = {"reassoc", "contract", "arcp", "nsz"}
"""What floating point may do for speed; NaN and infinity keep their meaning."""


def compiled(function: Function) -> Function:
    """Compile ``function`` at its first call, for use from several threads at a time.

    Where neither the package's folder nor the user's cache can be written (a read-only container), each
    process compiles anew.
    """
    return _compiled(function, REORDERING)


def compiled_exactly(function: Function) -> Function:
    """Like ``compiled``, with every operation rounded as it is written: equal to numpy's to the last bit."""
    return _compiled(function, fastmath=set())


def _compiled(function: Function, fastmath: set[str]) -> Function:
    try:
        decorate = numba.njit(cache=True, nogil=True, fastmath=fastmath, error_model="numpy")
        return cast(Function, decorate(function))
    except RuntimeError:  # "cannot cache function: no locator available"
        decorate = numba.njit(nogil=True, fastmath=fastmath, error_model="numpy")
        return cast(Function, decorate(function))
