"""How long each thread has waited for bytes of slides, so that reading can be told from decoding."""

import threading


class ReadClock(threading.local):
    """Seconds that this thread has spent on reading stored bytes, ever."""

    seconds = 0.0


READING = ReadClock()
"""The one of this process; formats that read and decode in one call leave it alone."""
