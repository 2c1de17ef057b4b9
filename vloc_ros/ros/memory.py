"""Memory that is not used any more, given back to the system."""

import ctypes
from contextlib import suppress

M_ARENA_MAX = -8  # of glibc's malloc.h
HEAPS = 2


def use_few_heaps() -> None:
    """Let all threads share the allocator's heaps, which glibc gives each thread one of otherwise. A robot that changes
    maps for hours fills each with pieces of networks and images between which nothing large fits any more: hundreds of
    megabytes that nobody uses. Call it before there are threads. Without glibc, nothing happens."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS)


def trim_heap() -> None:
    """Give what the allocator keeps back to the system. A map and its network are made and freed by several threads,
    and what they free stays in glibc's heaps: without this, tens of megabytes stay with a node that does nothing.
    Without glibc, nothing happens."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
