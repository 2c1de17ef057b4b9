"""ROS domains that nobody else on this computer uses."""

import random
import socket
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from vloc_ros.errors import ConfigError

DOMAINS = range(1, 101)  # below the ports that Linux hands out itself
_reserved: list[FileLock] = []  # kept for as long as this process lives


def reserve_domain() -> int:
    """A domain in which nobody is, and which no other call gives away until this process ends. Raises ConfigError if
    all are taken."""
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        lock = FileLock(Path(tempfile.gettempdir()) / f"vloc_ros_domain_{domain}.lock", timeout=0, is_singleton=False)
        try:
            lock.acquire()
        except (Timeout, OSError):  # another process's, or another user's
            continue
        if is_quiet(domain):
            _reserved.append(lock)
            return domain
        lock.release()
    raise ConfigError("every ROS domain of this computer is taken")


def is_quiet(domain: int) -> bool:
    """Whether no participant listens at the domain's first unicast port (DDSI-RTPS 2.2, 9.6.1.1)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain + 10))
        except OSError:
            return False
    return True
