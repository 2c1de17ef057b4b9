"""Domains of ROS that tests, demos and benchmarks take for themselves."""

import socket
import subprocess
import sys

import pytest

from vloc_ros.errors import ConfigError
from vloc_ros.ros import domains
from vloc_ros.ros.domains import reserve_domain

RESERVE = """
import sys
from vloc_ros.ros import domains
domains.DOMAINS = range(101, 104)
print(domains.reserve_domain(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three that nothing else takes."""
    monkeypatch.setattr(domains, "DOMAINS", range(101, 104))
    monkeypatch.setattr(domains, "_reserved", [])


def test_no_domain_is_given_away_twice() -> None:
    assert {reserve_domain() for _ in range(3)} == {101, 102, 103}
    with pytest.raises(ConfigError, match="every ROS domain"):
        reserve_domain()


def test_the_domains_of_another_process_are_not_taken() -> None:
    other = subprocess.Popen([sys.executable, "-c", RESERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    reserved = int(other.stdout.readline())
    assert reserved not in {reserve_domain(), reserve_domain()}
    other.communicate("")
    assert reserve_domain() == reserved


def test_a_domain_with_somebody_in_it_is_not_taken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("", 7400 + 250 * 102 + 10))
        assert {reserve_domain(), reserve_domain()} == {101, 103}
