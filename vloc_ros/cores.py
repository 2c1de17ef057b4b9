"""How many cores this process may take."""

import os

VARIABLE = "VLOC_CORES"  # of a worker among others


def core_limit() -> int:
    """As many as the environment says; 0 where it says nothing."""
    said = os.environ.get(VARIABLE, "")
    return int(said) if said.isdecimal() else 0


def core_count() -> int:
    """As many as there are, unless the environment says otherwise."""
    return core_limit() or os.cpu_count() or 1
