"""Which processes are ended for their silence, and which are only slow to start."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

import slow_starts
from fakes import MeanEncoder
from patience import wait_until
from refinevad.apps.live.capture.messages import Opened, Pulse
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


def test_the_time_to_start_in_grows_up_to_a_bound() -> None:
    """A process that can never start must not be waited for without end: 16 minutes in place of one."""
    assert [fleet_module.start_limit_s(60.0, count) for count in range(7)] == [60, 120, 240, 480, 960, 960, 960]
