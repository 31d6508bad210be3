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
    try:
        return _compiled(function, cache=True)
    except RuntimeError:  # "cannot cache function: no locator available"
        return _compiled(function, cache=False)


def _compiled(function: Function, *, cache: bool) -> Function:
    decorate = numba.njit(cache=cache, nogil=True, fastmath=REORDERING, error_model="numpy")
    return cast(Function, decorate(function))
