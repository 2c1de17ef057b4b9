"""The map in use: what is put into its place, by whom, and when; each order of events is made with events."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from vloc_ros.errors import ModelError
from vloc_ros.ros.map_slot import MapSlot

WAIT_S = 30.0


class Opener:
    """Opens maps; the one named in `held` only when it is let go."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.placed: list[str] = []
        self.fails = False
        self.held: dict[str, tuple[threading.Event, threading.Event]] = {}
        self.slot = MapSlot(self.open, lambda localizer, where: self.placed.append(localizer.map_id))

    def open(self, stored: Any, where: str) -> Any:
        self.opened.append(stored.map_id)
        if stored.map_id in self.held:
            begun, go_on = self.held[stored.map_id]
            begun.set()
            assert go_on.wait(WAIT_S)
        if self.fails:
            raise ModelError("the GPU is lost")
        return SimpleNamespace(map_id=stored.map_id, warm_up=lambda: None)

    def hold(self, map_id: str) -> tuple[threading.Event, threading.Event]:
        self.held[map_id] = threading.Event(), threading.Event()
        return self.held[map_id]


@pytest.fixture
def opener() -> Opener:
    return Opener()


def stored(map_id: str) -> Any:
    return SimpleNamespace(map_id=map_id)


def in_thread(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> None:
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_the_map_before_stays_until_the_new_one_is_warm(opener: Opener) -> None:
    slot = opener.slot
    assert (slot.localizer, slot.map_id, slot.failure) == (None, "", "")
    slot.open(stored("hall"), "here")
    begun, go_on = opener.hold("attic")
    opening = in_thread(slot.open, stored("attic"), "there")
    assert begun.wait(WAIT_S)
    assert slot.map_id == "hall", "and nobody waits for the new one"
    go_on.set()
    ended(opening)
    assert slot.map_id == "attic"
    assert opener.placed == ["hall", "attic"]


def test_the_map_in_use_is_not_opened_again(opener: Opener) -> None:
    opener.slot.open(stored("hall"), "here")
    first = opener.slot.localizer
    opener.slot.open(stored("hall"), "there")
    assert opener.slot.localizer is first
    assert opener.opened == ["hall"]


def test_a_map_that_cannot_be_opened_changes_nothing(opener: Opener) -> None:
    opener.slot.open(stored("hall"), "here")
    opener.fails = True
    with pytest.raises(ModelError):
        opener.slot.open(stored("attic"), "there")
    assert opener.slot.map_id == "hall"
    assert opener.placed == ["hall"]


def test_a_failed_network_is_let_go_of_and_opened_anew(opener: Opener) -> None:
    slot = opener.slot
    slot.open(stored("hall"), "here")
    first = slot.localizer
    assert first is not None
    slot.fail(first, "network_failed: why")
    assert (slot.localizer, slot.failure) == (None, "network_failed: why")
    opener.fails = True
    with pytest.raises(ModelError):
        slot.recover()
    assert slot.failure == "network_failed: why"
    opener.fails = False
    slot.recover()
    assert (slot.map_id, slot.failure) == ("hall", "")
    assert slot.localizer is not first
    slot.recover()
    assert opener.opened == ["hall"] * 3, "one that works is not opened again"


def test_a_failure_of_the_map_before_does_not_touch_the_one_that_took_its_place(opener: Opener) -> None:
    slot = opener.slot
    slot.open(stored("hall"), "here")
    hall = slot.localizer
    assert hall is not None
    slot.open(stored("attic"), "there")
    slot.fail(hall, "network_failed: why")
    assert (slot.map_id, slot.failure) == ("attic", "")


def test_a_map_that_comes_while_another_one_recovers_stays(opener: Opener) -> None:
    slot = opener.slot
    slot.open(stored("hall"), "here")
    hall = slot.localizer
    assert hall is not None
    slot.fail(hall, "network_failed: why")
    begun, go_on = opener.hold("hall")
    recovering = in_thread(slot.recover)
    assert begun.wait(WAIT_S)
    slot.open(stored("attic"), "there")
    go_on.set()
    ended(recovering)
    assert slot.map_id == "attic"
    assert opener.placed == ["hall", "attic"]


def test_closed_it_takes_nothing_any_more(opener: Opener) -> None:
    slot = opener.slot
    begun, go_on = opener.hold("hall")
    opening = in_thread(slot.open, stored("hall"), "here")
    assert begun.wait(WAIT_S)
    slot.close()
    go_on.set()
    ended(opening)
    assert slot.is_closed
    assert slot.localizer is None
    assert not opener.placed
    slot.recover()
    assert slot.localizer is None
