"""What both nodes share: a lifecycle that can start by itself, checked parameters, and a program around it."""

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from lifecycle_msgs.msg import State
from rcl_interfaces.msg import SetParametersResult
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from vloc_ros.errors import ConfigError, VlocError, printable
from vloc_ros.maps import Stored, read_stored, require_signature
from vloc_ros.ros.faults import QuietExecutor, described, spin
from vloc_ros.ros.guarded_node import GuardedNode
from vloc_ros.ros.parameters import NodeParameters, build_parameters, declare, fixed_while_configured

P = TypeVar("P", bound=NodeParameters)

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
# For what a late subscriber must still get: the newest one of it.
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PACKAGE_URI, FILE_URI = "package://", "file://"


class VlocNode(GuardedNode, Generic[P]):
    """A lifecycle node with the parameters of `kind` in `parameters`, always valid.

    Sub-classes implement `configure` and `activate`. Both get the scope that their work lasts for, and leave in it what
    has to be undone at its end. Whatever they raise is told in one line, and the transition fails.
    """

    def __init__(self, name: str, kind: type[P]) -> None:
        super().__init__(name)
        self._kind = kind
        self._start_again = False
        self._configured, self._active, self._lifetime = ExitStack(), ExitStack(), ExitStack()
        self.parameters: P = declare(self, kind)
        self.add_on_set_parameters_callback(self._check_change)
        self.add_post_set_parameters_callback(self.faults.around("parameters", self._apply_change))

    def configure(self, scope: ExitStack) -> None:
        """Make what the node needs."""

    def activate(self, scope: ExitStack) -> None:
        """Begin to work."""

    def check_parameters(self, wanted: P) -> None:
        """Refuse a change while the node is configured, by raising a VlocError."""

    def apply_parameters(self, old: P) -> None:
        """React to a change while the node is configured; `self.parameters` are the new ones."""

    @property
    def is_configured(self) -> bool:
        return self._state_machine.current_state[0] in (State.PRIMARY_STATE_INACTIVE, State.PRIMARY_STATE_ACTIVE)

    @property
    def is_active(self) -> bool:
        return bool(self._state_machine.current_state[0] == State.PRIMARY_STATE_ACTIVE)

    def start(self) -> None:
        """Configure and activate, if `autostart` is on; if that fails, again when a parameter has changed."""
        if not self.parameters.autostart:
            return
        is_configured = self.is_configured or self.trigger_configure() == SUCCESS
        self._start_again = not (is_configured and self.trigger_activate() == SUCCESS)
        self.explain_start("for autostart is on: turn it off where a lifecycle manager starts the node")

    def publisher(
        self,
        scope: ExitStack,
        kind: type[Any],
        topic: str,
        qos: QoSProfile | int,
        events: PublisherEventCallbacks | None = None,
    ) -> LifecyclePublisher:
        """A publisher for the time of `scope`, silent while the node is not active."""
        made_publisher = self.create_lifecycle_publisher(kind, topic, qos, event_callbacks=events)
        scope.callback(self.destroy_lifecycle_publisher, made_publisher)
        return made_publisher

    def end(self) -> None:
        """Undo everything, whatever state the node is in."""
        self._active.close()
        self._configured.close()

    def destroy_node(self) -> None:
        self.end()
        self._lifetime.close()
        super().destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._start_again = False  # whoever does this now decides
        entered = self._entered(self.configure, self._configured)
        return super().on_configure(state) if entered == SUCCESS else entered

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        enabled = super().on_activate(state)  # publishers first, so that `activate` can publish
        if self._entered(self.activate, self._active) == SUCCESS:
            return enabled
        super().on_deactivate(state)
        return FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active.close()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._configured.close()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._start_again = False
        self.end()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.end()
        return super().on_error(state)

    def _entered(self, enter: Callable[[ExitStack], None], scope: ExitStack) -> TransitionCallbackReturn:
        try:
            enter(scope)
        except VlocError as error:
            self.get_logger().error(str(error))
        except Exception as error:
            self.faults.add(enter.__name__, error, is_told=True)
        else:
            return SUCCESS
        scope.close()
        return FAILURE

    def _check_change(self, changes: Sequence[Parameter]) -> SetParametersResult:
        try:
            wanted = self._changed(changes)
            if self.is_configured:
                self._refuse_fixed(wanted)
                self.check_parameters(wanted)
        except VlocError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:
            return SetParametersResult(successful=False, reason=self.faults.add("parameter check", error))
        return SetParametersResult(successful=True)

    def _apply_change(self, changes: Sequence[Parameter]) -> None:
        old, self.parameters = self.parameters, self._changed(changes)
        if self.is_configured:
            self.apply_parameters(old)
        if self._start_again and old != self.parameters:
            self.start()

    def _changed(self, changes: Sequence[Parameter]) -> P:
        known = asdict(self.parameters)
        return build_parameters(self._kind, {**known, **{p.name: p.value for p in changes if p.name in known}})

    def _refuse_fixed(self, wanted: P) -> None:
        for name in sorted(fixed_while_configured(self._kind)):
            old, new = getattr(self.parameters, name), getattr(wanted, name)
            if old != new:
                raise ConfigError(f"parameter {name} stays {old!r} while the node is configured: clean it up first")


def resolve_map(uri: str) -> str:
    """The path of a map directory that is given as that, as file:///PATH or as package://PACKAGE/PATH. Raises
    ConfigError."""
    if uri.startswith(FILE_URI):
        return unquote(uri.removeprefix(FILE_URI))
    if not uri.startswith(PACKAGE_URI):
        return os.path.expanduser(uri)
    package, _, path = uri.removeprefix(PACKAGE_URI).partition("/")
    try:
        return f"{get_package_share_directory(package)}/{path}"
    except (PackageNotFoundError, ValueError, OSError) as error:  # OSError: no ROS environment is set up
        raise ConfigError(f"{uri}: there is no package {package!r}") from error


def read_signed(uri: str, public_key: str) -> Stored:
    """The map or the building of a URI, whose signature is checked where a public key is given. Raises VlocError."""
    stored = read_stored(resolve_map(uri))
    if public_key:
        require_signature(stored, uri, public_key)
    return stored


def run(
    make: Callable[[], "VlocNode[Any] | Sequence[VlocNode[Any]]"],
    arguments: Sequence[str] | None,
    is_interrupted: Callable[[], bool],
) -> int:
    """Spin what is made, a node or several, until it is interrupted or shut down, and return the exit code: 1 for
    arguments that are wrong.

    `is_interrupted` tells of a SIGINT or SIGTERM before rclpy listened to them.
    """
    try:
        rclpy.init(args=arguments)
    except Exception as error:  # of whatever class for arguments that rcl does not understand
        rclpy.logging.get_logger("vloc_ros").fatal(described("arguments", error))
        return 1
    warnings.showwarning = _log_warning  # type: ignore[assignment]
    try:
        return 0 if is_interrupted() else _spin(make)
    except Exception as error:
        if not rclpy.ok():
            return 0  # interrupted: what was just being made or published could not be any more
        rclpy.logging.get_logger("vloc_ros").fatal(described("start", error))
        return 1
    finally:
        rclpy.try_shutdown()


def _log_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    """A library's warning, in one line of the log like all else."""
    rclpy.logging.get_logger("vloc_ros").warning(printable(f"{category.__name__}: {message}"))


def _spin(make: Callable[[], "VlocNode[Any] | Sequence[VlocNode[Any]]"]) -> int:
    made = make()
    nodes = made if isinstance(made, Sequence) else [made]
    executor = QuietExecutor()
    try:
        for node in nodes:
            executor.add_node(node)
        for node in nodes:
            node.start()
        spin(executor, nodes[0].faults)
    finally:
        for end in (executor.shutdown, *(node.destroy_node for node in reversed(nodes))):
            with suppress(Exception):  # nothing to be done about it any more
                end()
    return 0
