"""loop - asyncio for a process that can open nothing; stands behind link.py's text.

The library's own event loop makes a pair of sockets, to be woken by, and has the kernel watch descriptors. Here
only time passes and threads end, so a loop waits for nothing else.
"""


def prepare_asyncio(asyncio):
    """Right after it was imported, by a program or by a test."""
    import threading

    class Loop(asyncio.BaseEventLoop):
        def __init__(self):
            super().__init__()
            self._selector, self._woken = self, threading.Event()

        def select(self, timeout):
            self._woken.wait(timeout)
            self._woken.clear()
            return ()

        def _process_events(self, events):
            pass

        def _write_to_self(self):
            self._woken.set()

    asyncio.SelectorEventLoop = asyncio.unix_events.SelectorEventLoop = Loop
    for name in ("_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy"):
        if hasattr(asyncio.unix_events, name):
            getattr(asyncio.unix_events, name)._loop_factory = Loop
    if hasattr(asyncio, "EventLoop"):
        asyncio.EventLoop = Loop


def run_awaited(target):
    """What a coroutine of this side gives, for the other side. A loop that runs here already waits for the other
    side just now, so there is room for one within it."""
    import asyncio

    async def waited():
        return await target
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return asyncio.run(waited())
    finally:
        asyncio._set_running_loop(running)
