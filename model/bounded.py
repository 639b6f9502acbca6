"""A bound on waiting: a coroutine that is given up at its deadline, whether or not this thread's loop is running.

A request is answered inside Mangum's running loop, where nothing else can be awaited by plain code, so the coroutine
gets a thread and a loop of its own: 0.8 ms, which only a read of a remote store pays. Cancelled, obstore drops the
connection; its blocking calls could not be interrupted.
"""

from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Callable[[], Coroutine[Any, Any, T]], seconds: float | None) -> T:
    """Return what the coroutine returns; raises what it raises, and TimeoutError after `seconds` (None: never)."""
    outcome: Future[T] = Future()
    Thread(target=_run, args=(work, seconds, outcome), daemon=True).start()
    return outcome.result()


def _run(work: Callable[[], Coroutine[Any, Any, T]], seconds: float | None, outcome: "Future[T]") -> None:
    import asyncio  # noqa: PLC0415  -- 15 ms for an edge without Mangum, and a local store never waits

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await work()

    try:
        outcome.set_result(asyncio.run(bounded()))
    except BaseException as error:
        outcome.set_exception(error)
