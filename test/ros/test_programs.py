"""How a node's program ends while its threads still work."""

import subprocess
import sys

import pytest

END = """
import threading, time
from vloc_ros.ros import programs

def work():
    time.sleep({works_s})
    print("done", flush=True)

programs.END_S = {end_s}
threading.Thread(target=work, daemon=True).start()
programs.end_threads(7)
print("ended", flush=True)
"""


@pytest.mark.parametrize(
    ("works_s", "end_s", "code", "printed"), [(0.3, 60.0, 0, ["done", "ended"]), (600.0, 0.1, 7, [])]
)
def test_a_thread_may_come_to_its_end_but_not_hold_the_program(
    works_s: float, end_s: float, code: int, printed: list[str]
) -> None:
    program = [sys.executable, "-c", END.format(works_s=works_s, end_s=end_s)]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (code, printed), done.stderr
