"""For tests: a ROS graph of its own, with nodes in processes of their own and a client that talks to them."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterDescriptor, SetParametersResult
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter as AnyParameter
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from tf2_msgs.msg import TFMessage

from support import ROOT
from support.program_server import ProgramServer
from vloc_ros.demo import processes
from vloc_ros.demo.processes import DISCOVERY_VARIABLES
from vloc_ros.ros.programs import as_arguments

LOG_VARIABLES = ("RCUTILS_CONSOLE_OUTPUT_FORMAT", "RCUTILS_COLORIZED_OUTPUT", "RCUTILS_LOGGING_USE_STDOUT")
WAIT_S = 120.0  # for what takes a second on a quiet computer
TRIES = 12  # in this time, where it may be asked again
A_WHILE_S = 0.7  # in which what must not happen would have happened
MANY = QoSProfile(depth=500)
LATCHED = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)

CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE
GOALS = {CONFIGURE: "inactive", CLEANUP: "unconfigured", ACTIVATE: "active", DEACTIVATE: "inactive"}
SHUT_DOWN = "finalized"
SHUTDOWN = {
    "unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


class Program(processes.Program):
    """A node in a process of its own, whose end must be a clean one."""

    def __init__(
        self,
        name: str,
        ros_arguments: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        server: ProgramServer | None,
    ) -> None:
        """Without a server it is started as users start it, in a new interpreter."""
        self._server = server
        super().__init__(name, ros_arguments, log, environment)

    def _start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> processes.Process:
        if self._server is None:
            return super()._start(arguments, environment)
        return self._server.start([self.name, *arguments], self._log, environment)

    def lines(self, *words: str) -> list[str]:
        """The lines of the log with all these words in them."""
        return [line for line in self.log.splitlines() if all(word in line for word in words)]

    def interrupt(self, times: int = 1) -> None:
        for _ in range(times):
            self.send(signal.SIGINT)

    def ended(self) -> int:
        """The exit code. If there is none for long, the failure shows where each thread was."""
        code = self.wait(WAIT_S)
        if code is None:
            self.send(signal.SIGABRT)  # Python's fault handler
            self.wait(WAIT_S)
            raise AssertionError(f"{self.name}: not ended after {WAIT_S:g} s\n{self.log}")
        return code

    def stop(self) -> None:
        """Interrupt; the end must be a clean one."""
        self.interrupt()
        assert self.ended() == 0, self.log
        assert "Traceback" not in self.log, self.log


class Graph:
    """A domain that nobody else uses, the programs started in it, and a client node in this process.

    Everything waits long, for the computer may be busy, and goes on as soon as it can.
    """

    def __init__(self, domain_id: int, folder: Path, server: ProgramServer) -> None:
        self.domain_id, self.folder, self._server = domain_id, folder, server
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = Node("test_client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._programs: list[Program] = []
        self._clients: dict[str, Any] = {}

    @property
    def is_closed(self) -> bool:
        return not self._context.ok()

    def close(self) -> None:
        if self.is_closed:
            return
        for program in self._programs:
            program.kill()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def start(self, name: str, *ros_arguments: str, **parameters: object) -> Program:
        """Start a program with these parameters: one of `vloc_ros.ros.programs`, or a Python file that runs one."""
        return self._started(name, [*ros_arguments, *as_arguments(parameters)], self._server)

    def start_interpreter(self, name: str, **parameters: object) -> Program:
        """The same as users do it, imports included."""
        return self._started(name, as_arguments(parameters), None)

    def _started(self, name: str, ros_arguments: list[str], server: ProgramServer | None) -> Program:
        log = self.folder / f"{Path(name).stem}_{len(self._programs)}.log"
        environment = {"ROS_DOMAIN_ID": str(self.domain_id), "PYTHONFAULTHANDLER": "1"}
        self._programs.append(Program(name, ros_arguments, log, environment, server))
        return self._programs[-1]

    def lines(self, *words: str) -> list[str]:
        """The lines in the logs of the programs with all these words in them."""
        return [line for program in self._programs for line in program.lines(*words)]

    def wait_for(self, condition: Callable[[], object], what: str = "") -> None:
        """Spin until the condition holds."""
        deadline_s = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline_s:
                logs = "\n".join(program.log[-3000:] for program in self._programs)
                raise AssertionError(f"waited {WAIT_S:g} s in vain for {what or condition}\n{logs}")
            self._executor.spin_once(timeout_sec=0.02)

    def spin(self, seconds: float = A_WHILE_S) -> None:
        """Let things happen, should they."""
        end_s = time.monotonic() + seconds
        self.wait_for(lambda: time.monotonic() > end_s)

    def listen(self, kind: type[Any], topic: str, qos: QoSProfile = MANY) -> list[Any]:
        """The messages of a topic, from now on."""
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    @contextmanager
    def listening(self, kind: type[Any], topic: str, qos: QoSProfile = MANY) -> Iterator[list[Any]]:
        """The messages of a topic that somebody publishes, for a while."""
        messages: list[Any] = []
        subscription = self.node.create_subscription(kind, topic, messages.append, qos)
        self.wait_for(lambda: self.node.count_publishers(topic), f"a publisher of {topic}")
        yield messages
        self.node.destroy_subscription(subscription)

    @contextmanager
    def listening_to_tf(self, parent: str) -> Iterator[list[TransformStamped]]:
        """The moving transforms below a frame, for a while."""
        transforms: list[TransformStamped] = []

        def add(message: TFMessage) -> None:
            transforms.extend(found for found in message.transforms if found.header.frame_id == parent)

        subscription = self.node.create_subscription(TFMessage, "/tf", add, MANY)
        yield transforms
        self.node.destroy_subscription(subscription)

    def publisher_of(self, topic: str) -> tuple[str, bool, bool]:
        """Type of a topic's one publisher, and whether it is reliable and transient local."""
        return self._end_of(topic, self.node.get_publishers_info_by_topic)

    def subscription_of(self, topic: str) -> tuple[str, bool, bool]:
        """The same of its one subscription."""
        return self._end_of(topic, self.node.get_subscriptions_info_by_topic)

    def _end_of(self, topic: str, ends: Callable[[str], list[Any]]) -> tuple[str, bool, bool]:
        self.wait_for(lambda: len(ends(topic)) == 1, f"one at {topic}")
        (end,) = ends(topic)
        qos = end.qos_profile
        is_reliable = qos.reliability == ReliabilityPolicy.RELIABLE
        return end.topic_type, is_reliable, qos.durability == DurabilityPolicy.TRANSIENT_LOCAL

    def call(self, kind: type[Any], name: str, request: Any = None) -> Any:
        """The response of a service that may be asked twice, and is when no answer comes: the first request is lost
        where a server that was killed still counts as there, and the first answer where a busy server has not heard of
        this client 0.1 s after its request."""
        futures: list[Any] = []
        for _ in range(TRIES):
            futures.append(self.call_async(kind, name, request))
            self._wait_a_try(lambda: any(f.done() for f in futures))
            for future in futures:
                if future.done():
                    return future.result()
        raise AssertionError(f"asked {name} {TRIES} times in vain")

    def _wait_a_try(self, condition: Callable[[], object]) -> None:
        """Until the condition holds, or it is time to ask again."""
        again_s = time.monotonic() + WAIT_S / TRIES
        self.wait_for(lambda: condition() or time.monotonic() > again_s)

    def call_async(self, kind: type[Any], name: str, request: Any = None) -> Any:
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
        client = self._clients[name]
        self.wait_for(client.service_is_ready, f"service {name}")
        return client.call_async(kind.Request() if request is None else request)

    def set_parameter(self, node: str, name: str, value: object) -> SetParametersResult:
        parameter: Parameter = AnyParameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return self.call(SetParameters, f"{node}/set_parameters", request).results[0]

    def parameter(self, node: str, name: str) -> object:
        request = GetParameters.Request(names=[name])
        return parameter_value_to_python(self.call(GetParameters, f"{node}/get_parameters", request).values[0])

    def describe_parameters(self, node: str, names: Sequence[str]) -> list[ParameterDescriptor]:
        request = DescribeParameters.Request(names=list(names))
        return list(self.call(DescribeParameters, f"{node}/describe_parameters", request).descriptors)

    def change_state(self, node: str, transition: int) -> bool:
        """Whether that succeeded. Asked once; if the answer is lost, the state tells."""
        request = ChangeState.Request(transition=Transition(id=transition))
        future = self.call_async(ChangeState, f"{node}/change_state", request)
        self._wait_a_try(future.done)
        ends = {*GOALS.values(), SHUT_DOWN}
        self.wait_for(lambda: future.done() or self.state(node) in ends, f"the end of a transition of {node}")
        if future.done():
            return bool(future.result().success)
        return self.state(node) == GOALS.get(transition, SHUT_DOWN)

    def state(self, node: str) -> str:
        return str(self.call(GetState, f"{node}/get_state").current_state.label)

    def is_up(self, name: str, namespace: str = "/") -> bool:
        return (name, namespace) in self.node.get_node_names_and_namespaces()


def isolated_environment() -> dict[str, str | None]:
    """For this process and its children: only this computer, shared memory that holds whole images, and nothing of the
    shell that changes who finds whom or what logs look like. None: not set."""
    profiles = ROOT / "config" / "fastdds.xml"
    return {
        **dict.fromkeys((*DISCOVERY_VARIABLES, *LOG_VARIABLES)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(profiles),
        "OMP_NUM_THREADS": "1",
    }
