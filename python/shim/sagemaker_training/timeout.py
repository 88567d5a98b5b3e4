"""A limit of time for a block of code."""

import contextlib
import signal


class TimeoutError(Exception):
    """The time is over."""


@contextlib.contextmanager
def timeout(seconds=0, minutes=0, hours=0):
    """Raises TimeoutError in the block after the given time."""
    limit = seconds + 60 * minutes + 3600 * hours

    def end(_number, _frame):
        raise TimeoutError("timed out after {} seconds".format(limit))

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
