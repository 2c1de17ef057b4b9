"""Maps are tried out in a process of their own: good ones pass, and bad ones cost no more than they may."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.costly_networks import costly, packed_map, with_endless_work, with_huge_tensor
from support.tiny_networks import network

from vloc_ros.errors import MapError
from vloc_ros.map_check import CheckLimits, MapCheck
from vloc_ros.maps import pack_map, read_map
from vloc_ros.shipped import shipped

LIMITS = CheckLimits(max_bytes=64_000_000, seconds=120.0)  # where it is not about time: the computer may be busy


def checked(packed: bytes, limits: CheckLimits = LIMITS) -> str:
    """The refusal; empty for a map that passes."""
    try:
        MapCheck().check(packed, "map/data", limits)
    except MapError as error:
        return str(error)
    return ""


def test_good_maps_pass(tmp_path: Path) -> None:
    assert checked(pack_map(read_map(shipped("maps/demo_room")))) == ""
    assert checked(packed_map(tmp_path, network())) == ""


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda packed: packed[:-30], "map/data: "),
        (lambda packed: b"", "map/data: 0 bytes that are no packed map"),
        (lambda packed: packed.replace(b"gate:\n", b"gata:\n"), "map/data/map.yaml: "),
    ],
)
def test_what_is_no_map_is_refused_in_the_same_words_as_anywhere(
    damage: Callable[[bytes], bytes], complaint: str
) -> None:
    refusal = checked(damage(pack_map(read_map(shipped("maps/demo_room")))))
    assert refusal.startswith(complaint)
    assert refusal.isprintable()


def test_a_network_that_is_none_is_refused(tmp_path: Path) -> None:
    assert checked(packed_map(tmp_path, b"no network")).startswith("map/data: network: cannot load it")


def test_a_map_larger_than_the_limit_is_refused() -> None:
    packed = pack_map(read_map(shipped("maps/demo_room")))
    assert "at most 1.0 MB" in checked(packed, replace(LIMITS, max_bytes=1_000_000))


def test_a_network_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    assert checked(packed_map(tmp_path, costly(with_huge_tensor))).startswith("map/data: ")


def test_a_network_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    packed = packed_map(tmp_path, costly(with_endless_work))
    refusal = checked(packed, replace(LIMITS, seconds=1.0))
    assert refusal == "map/data: given up, checking it took more than 1 s"


def test_the_process_ends_by_itself_where_nobody_ends_it(tmp_path: Path) -> None:
    """Such as when the node was killed."""
    packed = packed_map(tmp_path, costly(with_endless_work))
    request = b'{"where": "x", "max_bytes": 100000000, "seconds": 0.1}\n'
    program = "import sys; from vloc_ros import map_check; map_check.MARGIN_S = 1; sys.exit(map_check.main())"
    ended = subprocess.run([sys.executable, "-c", program], input=request + packed, timeout=300, check=False)
    assert ended.returncode < 0


def test_a_check_can_be_ended_from_another_thread(tmp_path: Path) -> None:
    packed = packed_map(tmp_path, costly(with_endless_work))
    check, refusals = MapCheck(), []

    def run() -> None:
        with pytest.raises(MapError) as caught:
            check.check(packed, "map/data", LIMITS)
        refusals.append(str(caught.value))

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)
    check.close()
    thread.join(60)
    assert refusals == ["map/data: the process that checked it was ended (SIGKILL)"]


def test_a_check_that_is_not_needed_leaves_nothing_behind() -> None:
    check = MapCheck()
    check.close()
    check.close()
    with pytest.raises(MapError, match="not checked"):
        check.check(b"", "map/data", LIMITS)


def test_the_process_loads_only_what_it_needs() -> None:
    heavy = "{'numba', 'poselib', 'rclpy', 'torch', 'onnx', 'matplotlib'}"
    program = f"import sys, vloc_ros.map_check; loaded = {heavy} & set(sys.modules); assert not loaded, loaded"
    subprocess.run([sys.executable, "-c", program], check=True)
