"""What nobody expected, wherever it is raised: one line, a diagnostic, a state, and the node lives on."""

from collections.abc import Iterator

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from std_msgs.msg import String
from std_srvs.srv import Trigger
from support import SUPPORT
from support.graph import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, MANY, SHUTDOWN, Graph, Program

NODE = "/faulty"
SCRIPT = str(SUPPORT / "faulty_node.py")
UPWARD, DOWNWARD = (CONFIGURE, ACTIVATE), (DEACTIVATE, CLEANUP)


@pytest.fixture(scope="module")
def program(module_graph: Graph) -> Program:
    return module_graph.start(SCRIPT)


@pytest.fixture
def faulty(module_graph: Graph, program: Program) -> Iterator[Graph]:
    """The node is active, and nothing is raised."""
    yield module_graph
    assert program.is_running, program.log
    for transition in UPWARD:
        module_graph.change_state(NODE, transition)
    assert module_graph.set_parameter(NODE, "at", "").successful or module_graph.parameter(NODE, "at") == "check"
    assert module_graph.call(Trigger, f"{NODE}/plain").success
    assert "Traceback" not in program.log


def assert_told_once(program: Program, where: str, place: str) -> None:
    lines = program.lines(where, "RuntimeError", place)
    assert len(lines) == 1, program.log
    assert "ERROR" in lines[0]
    assert not [line for line in program.log.splitlines() if line.startswith("[FATAL]")], "a forged line"


def test_in_a_subscription(faulty: Graph, program: Program) -> None:
    topic = faulty.node.create_publisher(String, "/topic", 10)
    faulty.wait_for(topic.get_subscription_count)
    with faulty.listening(DiagnosticArray, "/diagnostics", MANY) as diagnostics:
        assert faulty.set_parameter(NODE, "at", "subscription").successful
        for _ in range(5):
            topic.publish(String())
        faulty.wait_for(lambda: diagnostics)
    (status,) = diagnostics[0].status
    assert (status.level, status.name) == (DiagnosticStatus.ERROR, "/faulty: faults")
    assert status.message.startswith("subscription topic: RuntimeError: ")
    assert {pair.key: pair.value for pair in status.values} == {"state": "active", "faults": "1"}
    assert_told_once(program, "subscription topic", "subscription")


def test_in_a_timer(faulty: Graph, program: Program) -> None:
    assert faulty.set_parameter(NODE, "at", "timer").successful
    faulty.spin(0.3)
    assert faulty.state(NODE) == "active"
    assert_told_once(program, "timer", "timer")


def test_a_warning_of_a_library_is_a_line_of_the_log(faulty: Graph, program: Program) -> None:
    assert faulty.set_parameter(NODE, "at", "warning").successful
    faulty.wait_for(lambda: program.lines("WARN", r"RuntimeWarning: odd\n[FATAL] numbers"))
    assert all(line.startswith("[") and "[FATAL] numbers" not in line[:20] for line in program.log.splitlines())


@pytest.mark.parametrize(("service", "place"), [("plain", "service"), ("waits", "coroutine")])
def test_in_a_service_the_answer_is_no(faulty: Graph, program: Program, service: str, place: str) -> None:
    assert faulty.set_parameter(NODE, "at", place).successful
    response = faulty.call(Trigger, f"{NODE}/{service}")
    assert not response.success
    assert place in response.message
    assert_told_once(program, f"service ~/{service}", place)


@pytest.mark.parametrize("place", ["configure", "activate", "deactivate", "cleanup"])
def test_in_a_transition_it_fails_and_may_be_repeated(faulty: Graph, program: Program, place: str) -> None:
    assert faulty.set_parameter(NODE, "at", place).successful
    passed = [faulty.change_state(NODE, transition) for transition in (*DOWNWARD, *UPWARD)]
    assert not all(passed)
    assert_told_once(program, place, place)
    assert faulty.set_parameter(NODE, "at", "").successful
    for transition in UPWARD:
        faulty.change_state(NODE, transition)
    assert faulty.state(NODE) == "active"


def test_while_a_parameter_is_applied(faulty: Graph, program: Program) -> None:
    assert faulty.set_parameter(NODE, "at", "apply").successful
    assert_told_once(program, "parameters", "apply")


def test_while_a_parameter_is_checked_it_is_refused(faulty: Graph, program: Program) -> None:
    """Comes last but one: from now on, each parameter is refused."""
    assert faulty.set_parameter(NODE, "at", "check").successful
    result = faulty.set_parameter(NODE, "at", "")
    assert not result.successful
    assert "RuntimeError" in result.reason
    assert_told_once(program, "parameter check", "check")


def test_at_start_it_waits_unconfigured(graph: Graph) -> None:
    program = graph.start(SCRIPT, at="configure")
    graph.wait_for(lambda: program.lines("ERROR", "configure: RuntimeError"))
    assert graph.state(NODE) == "unconfigured"
    assert graph.set_parameter(NODE, "at", "shutdown").successful
    graph.wait_for(lambda: graph.state(NODE) == "active", "another try with the new parameter")
    assert not graph.change_state(NODE, SHUTDOWN["active"])
    assert program.lines("ERROR", "shutdown: RuntimeError")
    program.stop()
