"""Linear algebra of NumPy and SciPy in one thread.

Matching an image multiplies many small matrices. OpenBLAS shares each of these among all cores and waits for the last:
where other programs are busy, as on a robot, each wait takes as long as the system's scheduler gives them, and a
query of 90 ms takes 690 ms. What this package does at once, it does with threads of its own.
"""

import os

THREADS = "OPENBLAS_NUM_THREADS"  # of PyPI's wheels and of Debian's packages alike


def use_one_thread() -> None:
    """For this process and those that it starts; to be called before NumPy is imported, which reads it then. What a
    user has set stays."""
    os.environ.setdefault(THREADS, "1")
