"""What every command of `vloc` is."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """`description`: the first lines of its --help; `add_arguments` adds its options to a parser; `run` does what they
    ask for, returns the exit code and raises VlocError for bad input."""

    description: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
