"""Which processes are ended for their silence, and which are only slow to start."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from threading import Thread

import pytest

import slow_starts
from fakes import MeanEncoder
from patience import patience, wait_until
from refinevad.apps.live.capture.messages import Finish, Opened, Pulse
from refinevad.apps.live.capture.worker import WorkerJob
from refinevad.apps.live.engine import fleet as fleet_module
from refinevad.apps.live.engine.fleet import Died, Fleet, News
from refinevad.apps.live.settings.addresses import Address
from refinevad.timeline import SegmentRule

SILENCE_S = 1.0
JOB = WorkerJob(
    Address("file", "film.mp4", "file:film.mp4"), MeanEncoder.needs, SegmentRule.default(), False, 5.0, 0.0, 32, 0.0
)
Watch = Callable[..., list[News]]
FleetOf = Callable[..., tuple[Fleet, dict[str, list[News]]]]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """watch(work, hear) starts a fleet of one camera with `work` as its process; what is heard of it."""
    fleets: list[Fleet] = []

    def begin(work: Callable[..., None], hear: Callable[[News], None] = lambda news: None) -> list[News]:
        monkeypatch.setattr(fleet_module, "work", work)
        monkeypatch.setattr(fleet_module, "backoff_s", lambda *_: 0.0)
        heard: list[News] = []

        def listen(camera: str, news: News) -> None:
            heard.append(news)
            hear(news)

        fleets.append(Fleet(listen, lambda camera: True, SILENCE_S))
        fleets[-1].add("door", JOB)
        fleets[-1].start()
        return heard

    yield begin
    for fleet in fleets:
        fleet.stop()


@pytest.fixture
def fleet_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[FleetOf]:
    """fleet_of(name=work, ...) starts a fleet with a camera for each; and what is heard of each."""
    monkeypatch.setattr(fleet_module, "backoff_s", lambda *_: 0.0)
    fleets: list[Fleet] = []

    def begin(**works: Callable[..., None]) -> tuple[Fleet, dict[str, list[News]]]:
        heard: dict[str, list[News]] = {name: [] for name in works}
        monkeypatch.setattr(fleet_module, "work", slow_starts.as_named)
        fleet = Fleet(lambda camera, news: heard[camera].append(news), lambda camera: True, SILENCE_S)
        fleets.append(fleet)
        for name, work in works.items():
            fleet.add(name, replace(JOB, address=Address("file", work.__name__, "")))
        fleet.start()
        return fleet, heard

    yield begin
    for fleet in fleets:
        fleet.stop()


@pytest.mark.parametrize("slow", [slow_starts.mute_for_long, slow_starts.opens_for_long])
def test_a_process_that_is_only_slow_to_start_comes_up_in_the_end(watch: Watch, slow: Callable[..., None]) -> None:
    """It takes three times the silence that is borne; each one that was ended gives the next twice the time."""
    heard = watch(slow)
    wait_until(lambda: any(isinstance(news, Opened) for news in heard), "the camera", 30.0)
    reasons = [news.reason for news in heard if isinstance(news, Died)]
    assert reasons == [f"its process was still starting after {2**count} s" for count in range(len(reasons))]
    assert len(reasons) >= 2


def test_a_process_that_hangs_once_it_was_up_gets_no_more_time_than_before(watch: Watch) -> None:
    heard = watch(slow_starts.hangs)
    wait_until(lambda: sum(isinstance(news, Opened) for news in heard) == 4, "the fourth process", 60.0)
    after = [later for news, later in pairwise(heard) if isinstance(news, Opened)]
    assert len(after) >= 3
    assert all(news == Died("its process said nothing for 1 s", 0.0) for news in after)


def test_who_was_not_listened_to_is_not_taken_for_silent(watch: Watch) -> None:
    """The machine, or what hears the news, held the fleet up for longer than the silence that is borne."""

    def slow_to_hear(news: News) -> None:
        if isinstance(news, Opened):
            time.sleep(3 * SILENCE_S)

    heard = watch(slow_starts.steady, slow_to_hear)
    wait_until(lambda: any(isinstance(news, Opened) for news in heard), "the camera", 30.0)
    since = next(place for place, news in enumerate(heard) if isinstance(news, Opened))
    wait_until(lambda: len(heard) > since + 50, "what it said meanwhile", 30.0)
    assert all(isinstance(news, Pulse) for news in heard[since + 1 :])


def test_a_process_stopped_in_mid_message_holds_no_other_up(fleet_of: FleetOf) -> None:
    """Half a message is there: whoever waits for the rest hears nothing of the other cameras, for ever."""
    _, heard = fleet_of(stopped=slow_starts.stops_in_mid_message, other=slow_starts.steady)
    wait_until(lambda: Died("its process said nothing for 1 s", 0.0) in heard["stopped"], "its end")
    before = len(heard["other"])
    wait_until(lambda: len(heard["other"]) > before + 10, "news of the other")


def test_a_message_that_comes_in_pieces_is_heard_whole(fleet_of: FleetOf) -> None:
    _, heard = fleet_of(halting=slow_starts.halts_in_mid_message)
    wait_until(lambda: heard["halting"].count(Pulse(0, 0, 0, 0, 0, 0)) > 3, "whole messages")


def test_a_process_that_takes_no_commands_holds_nobody_up(fleet_of: FleetOf) -> None:
    """Ten thousand fill any pipe; each is said by a thread that has other cameras to see to."""
    fleet, heard = fleet_of(deaf=slow_starts.steady, other=slow_starts.steady)
    wait_until(lambda: bool(heard["deaf"] and heard["other"]), "both cameras")
    told = Thread(target=lambda: [fleet.command("deaf", Finish("event", 1.0, now=False)) for _ in range(10_000)])
    told.daemon = True
    told.start()
    told.join(patience(20.0))
    assert not told.is_alive()


def test_the_time_to_start_in_grows_up_to_a_bound() -> None:
    """A process that can never start must not be waited for without end: 16 minutes in place of one."""
    assert [fleet_module.start_limit_s(60.0, count) for count in range(7)] == [60, 120, 240, 480, 960, 960, 960]
