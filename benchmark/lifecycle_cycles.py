"""Takes the relocalizer through its states again and again and watches its memory.

python benchmark/lifecycle_cycles.py --cycles 300

Each cycle is configure, activate, deactivate, cleanup. The map is the demo's, opened anew in each.
"""

import argparse
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.client import Client
from rclpy.node import Node
from results import Results, add_json

from vloc_ros.demo.processes import Program, isolate
from vloc_ros.ros.programs import as_arguments
from vloc_ros.shipped import shipped

CYCLE = (
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
)
PARAMETERS = {"autostart": False, "threads": 1, "map": shipped("maps/demo_room")}
SETTLED = 10  # cycles, in which caches fill
TOLD = (1, SETTLED, 50, 100, 200, 300)
ANSWER_TIMEOUT_S = 120.0


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return float(found[1]) / 1e3


def change(node: Node, client: Client, transition: int) -> None:
    """Raises RuntimeError if the node does not do it or does not answer."""
    future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
    rclpy.spin_until_future_complete(node, future, timeout_sec=ANSWER_TIMEOUT_S)
    if not future.done():
        raise RuntimeError(f"transition {transition}: no answer in {ANSWER_TIMEOUT_S:g} s")
    if not future.result().success:
        raise RuntimeError(f"transition {transition} failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=300)
    add_json(parser)
    options = parser.parse_args()
    isolate()
    with ExitStack() as scope:
        log = Path(scope.enter_context(tempfile.TemporaryDirectory())) / "relocalizer.log"
        relocalizer = Program("relocalizer", as_arguments(PARAMETERS), log)
        scope.callback(relocalizer.stop)
        rclpy.init()
        scope.callback(rclpy.try_shutdown)
        node = rclpy.create_node("cycles")
        client = node.create_client(ChangeState, "/relocalizer/change_state")
        client.wait_for_service(ANSWER_TIMEOUT_S)
        columns = {"after cycle": "{cycle}", "resident memory of the relocalizer": "{resident_mb:.1f} MB"}
        results = Results("Data: the shipped map, opened anew in each cycle", columns)
        memory_mb: list[float] = []
        for cycle in range(1, options.cycles + 1):
            for transition in CYCLE:
                try:
                    change(node, client, transition)
                except RuntimeError as error:
                    raise RuntimeError(f"cycle {cycle}: {error}: {relocalizer.last_words()}") from error
            memory_mb.append(resident_mb(relocalizer.pid))
            if cycle in TOLD or cycle == options.cycles:
                results.add(cycle=cycle, resident_mb=memory_mb[-1])
    settled_mb = memory_mb[min(SETTLED, len(memory_mb)) - 1]
    growth_mb = memory_mb[-1] - settled_mb
    print(f"grown since cycle {SETTLED}: {growth_mb:.1f} MB, {growth_mb / settled_mb:.2%}")
    results.write(options.json)


if __name__ == "__main__":
    main()
