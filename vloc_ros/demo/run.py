"""The whole demo: starts the nodes, plays, listens, scores and draws; whatever happens, nothing is left running."""

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from tqdm import tqdm

from vloc_ros.bags.camera_topics import choose_camera, choose_rig, name_of
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import open_bag
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.drive import plan_drive
from vloc_ros.demo.answers import Answer, Played
from vloc_ros.demo.bag import BagPlayer
from vloc_ros.demo.console import LiveLine
from vloc_ros.demo.listener import Listener
from vloc_ros.demo.picture import draw_plan, plan_of
from vloc_ros.demo.player import ONE_CAMERA, DrivePlayer, Rig
from vloc_ros.demo.processes import Program, isolate
from vloc_ros.demo.score import score
from vloc_ros.demo.score_text import notes, table
from vloc_ros.demo.verdict import ANY_MAP, Limits, faults
from vloc_ros.drawing.overlay import write_picture
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.localizer import load_localizer
from vloc_ros.ros.programs import as_arguments

START_TIMEOUT_S = 60.0  # for the map server to serve, and again for the first fix
Check: TypeAlias = Callable[[], None]  # raises if there is no sense in going on
LAST_TF_S, LAST_ANSWER_S = 0.1, 3.0  # after the last image, wait so long for what belongs to it


class Player(Protocol):
    """Publishes what a robot's sensors would."""

    @property
    def base_frame(self) -> str:
        """The frame that the relocalizer's poses are of."""
        ...

    @property
    def relocalizer_arguments(self) -> Sequence[str]:
        """What the relocalizer needs to be told to listen to this player."""
        ...

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def prepare(self, progress: Callable[[int], None]) -> None:
        """Do what takes time before the start; `progress(images)` is called meanwhile."""
        ...

    def stand(self) -> Iterator[None]:
        """Publish while waiting for the start."""
        ...

    def may_start(self, listener: Listener) -> bool:
        """Whether the waiting is over."""
        ...

    def play(self) -> Iterator[Played]:
        """Publish everything in real time, and give every image when it has just been published."""
        ...

    def close(self) -> None:
        """Stop what goes on in threads."""
        ...


@dataclass(frozen=True, eq=False)
class DriveOptions:
    """How posed images are played: how the camera is mounted, how fast, whether with a kidnap, what is good, and which
    cameras there are."""

    base_from_camera: Matrix
    rate_hz: float
    kidnap: bool
    limits: Limits
    rig: Rig = ONE_CAMERA


@dataclass(frozen=True, eq=False)
class Heard:
    """What there is to be judged after a drive; landmarks (N, 3) in metres."""

    answers: Sequence[Answer]
    first_fix_s: float | None
    landmarks: Matrix
    cpu_percent: float | None = None


def play_dataset(map_dir: Path, dataset: Dataset, options: DriveOptions, out: Path) -> bool:
    """`demonstrate` with posed images."""
    drive = plan_drive(dataset, options.base_from_camera, options.kidnap)

    def player(node: Node) -> DrivePlayer:
        return DrivePlayer(node, dataset, drive, options.rate_hz, options.rig)

    return demonstrate(map_dir, player, options.limits, out)


def play_bag(map_dir: Path, path: Path, topics: BagOptions, out: Path) -> bool:
    """`demonstrate` with a ROS 2 bag, whose truth nobody knows."""
    with open_bag(path) as bag:
        if topics.cameras:
            cameras = {name_of(name): chosen for name, chosen in choose_rig(bag, topics.cameras).items()}
        else:
            cameras = {"": choose_camera(bag, topics.image_topic, topics.camera_info_topic)}
        return demonstrate(map_dir, lambda node: BagPlayer(node, bag, cameras, topics.tf_topics), ANY_MAP, out)


def demonstrate(map_dir: Path, make_player: Callable[[Node], Player], limits: Limits, out: Path) -> bool:
    """Play to a map server and a relocalizer, print what happens, and write `out`/demo.png and the nodes' logs.

    Returns whether the result is good. Raises VlocError for bad input and for a node that fails.
    """
    localizer = load_localizer(map_dir)
    localizer.warm_up()  # a map that is wrong is told at once; compiles what a first start compiles
    places = tuple(filter(None, localizer.landmark_map.manifest.result_places))
    isolate()
    with _interruptible() as interruption, ExitStack() as scope:
        heard = _hear(scope, interruption, map_dir, places, make_player, out)
    result = score(heard.answers, heard.first_fix_s, heard.cpu_percent)
    print(table(result))
    picture = out / "demo.png"
    write_picture(picture, draw_plan(plan_of(heard.answers, heard.landmarks), "vloc demo", notes(result)))
    print(f"picture: {picture}")
    bad = faults(result, limits)
    print(f"result: BAD, because {'; '.join(bad)}" if bad else _good_result(result.has_truth))
    return not bad


def _hear(
    scope: ExitStack,
    interruption: "_Interruption",
    map_dir: Path,
    places: Collection[str],
    make_player: Callable[[Node], Player],
    out: Path,
) -> Heard:
    """Play once; what was started ends with `scope`. `places`: those of a map of several."""

    def alive(program: Program) -> Check:
        def check() -> None:
            interruption.check()
            program.check()

        return check

    arguments = as_arguments({"map": map_dir.resolve()})
    with interruption.held():
        server = _started(scope, Program("map_server", arguments, out / "map_server.log"))
    with interruption.held():  # much is imported on the way
        node = spinning_node(scope, "vloc_demo")
        player = make_player(node)
        scope.callback(player.close)
        listener = Listener(node, player.base_frame, places)
    _prepare(player)
    _wait_until(lambda: listener.landmarks is not None, alive(server))
    started_s = time.monotonic()
    with interruption.held():
        relocalizer = _started(scope, Program("relocalizer", player.relocalizer_arguments, out / "relocalizer.log"))
    played = _play(player, listener, alive(relocalizer))
    first_fix_s = None if listener.first_fix_s is None else listener.first_fix_s - started_s
    landmarks = listener.landmarks
    assert landmarks is not None
    return Heard([listener.answer(image) for image in played], first_fix_s, landmarks, listener.cpu_percent)


def _prepare(player: Player) -> None:
    with tqdm(total=len(player), desc="making images", unit="image", leave=False, disable=None) as bar:

        def progress(count: int) -> None:
            bar.update(count - bar.n)

        player.prepare(progress)


def _play(player: Player, listener: Listener, check: Check) -> list[Played]:
    """Wait for the start, play, and wait for the last answer."""
    line, played = LiveLine(listener), list[Played]()
    deadline_s = time.monotonic() + START_TIMEOUT_S
    for _ in player.stand():
        check()
        line.show("starting")
        if player.may_start(listener) or time.monotonic() > deadline_s:
            break
    for image in player.play():
        if played:
            listener.look_up(played[-1].stamp_ns)  # as late as possible without knowing the next image's answer
        played.append(image)
        check()
        line.show(f"image {len(played)}/{len(player)}")
    time.sleep(LAST_TF_S)
    listener.look_up(played[-1].stamp_ns)
    with suppress(TimeoutError):
        _wait_until(lambda: listener.answer(played[-1]).reported, check, LAST_ANSWER_S)
    line.end()
    return played


def _started(scope: ExitStack, program: Program) -> Program:
    scope.callback(program.stop)
    return program


def spinning_node(scope: ExitStack, name: str) -> Node:
    """A node whose callbacks run in a thread; it ends with `scope`."""
    rclpy.init(args=["--ros-args", "--disable-external-lib-logs"], signal_handler_options=SignalHandlerOptions.NO)
    scope.callback(rclpy.try_shutdown)
    node = rclpy.create_node(name)
    scope.callback(node.destroy_node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, name="spin", daemon=True)
    thread.start()
    scope.callback(thread.join, 5.0)
    scope.callback(executor.shutdown)
    return node


def _wait_until(condition: Callable[[], bool], check: Check, timeout_s: float = START_TIMEOUT_S) -> None:
    """Raises TimeoutError, and what `check` raises."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        check()
        if time.monotonic() > deadline_s:
            raise TimeoutError
        time.sleep(0.02)


class _Interruption:
    """What a signal raises: at once, or at the end of `held`, or, where rclpy has just been calling back from C and
    lost it, at the next `check`."""

    def __init__(self) -> None:
        self._received: list[BaseException] = []
        self._is_held = False

    def receive(self, number: int, _: object) -> None:
        """The handler of signals."""
        self._received.append(KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number))
        if not self._is_held:
            raise self._received[-1]

    def check(self) -> None:
        """Raise what was received."""
        if self._received:
            raise self._received[0]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Around what must not be half done, such as starting a program and remembering to stop it."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        self.check()


@contextmanager
def _interruptible() -> Iterator[_Interruption]:
    """Being interrupted, terminated, or losing the terminal cleans up as any other end does."""
    interruption = _Interruption()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interruption.receive) for number in signals]
    try:
        yield interruption
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _good_result(has_truth: bool) -> str:
    return "result: good" if has_truth else "result: no ground truth, so no verdict"
