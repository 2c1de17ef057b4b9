"""Calls of ~/trigger that wait for an image."""

import threading
from typing import NamedTuple

from rclpy.executors import Executor
from rclpy.task import Future


class Answer(NamedTuple):
    """What a call of ~/trigger is told."""

    success: bool
    message: str


class Triggers:
    """Each waits for the first image that is taken after it; whoever answers first is heard."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Future] = []
        self._taken: list[Future] = []

    def __bool__(self) -> bool:
        """Whether one waits for an image."""
        return bool(self._waiting)

    def wait(self, executor: Executor) -> Future:
        """Another one; its result is an Answer."""
        trigger = Future(executor=executor)
        with self._lock:
            self._waiting.append(trigger)
        return trigger

    def take(self) -> bool:
        """An image is there: from now on, those that wait for one wait for what becomes of it. False if none did."""
        with self._lock:
            self._taken, self._waiting = self._taken + self._waiting, []
            return bool(self._taken)

    def answer_taken(self, answer: Answer) -> None:
        """Those of the image that was taken."""
        self._answer(answer, of_waiting=False)

    def answer_all(self, answer: Answer) -> None:
        """Those without an image, too."""
        self._answer(answer, of_waiting=True)

    def give_up(self, trigger: Future, answer: Answer) -> None:
        """Answer one that has waited too long, unless an image was taken for it."""
        with self._lock:
            if trigger not in self._waiting:
                return
            self._waiting.remove(trigger)
        trigger.set_result(answer)

    def _answer(self, answer: Answer, of_waiting: bool) -> None:
        with self._lock:
            answered, self._taken = self._taken, []
            if of_waiting:
                answered, self._waiting = answered + self._waiting, []
        for trigger in answered:
            trigger.set_result(answer)
