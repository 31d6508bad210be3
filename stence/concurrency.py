"""Process many items in threads, with results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield the results in the order of the items, computed by threads that never run far ahead.

    >>> list(in_order(str.upper, ["a", "b"], threads=2))
    ['A', 'B']
    """
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in islice(remaining, 2 * threads)
        )
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
