"""Presentation stamps as sources give them -> stamps that can be believed, and the seconds they stand for.

The one judge of time, for files, their shares and cameras. It looks at a few stamps around each jump and at no more:

- a stamp that leaves its neighbours, while those go on as before, is bad: its frame is put between them;
- stamps that go on by more than `longest_step_s` and stay there: a hole, in which there are no pictures;
- stamps that go back and stay there, or on by more than any pause lasts: the clock began anew; the next frame is put
  one nominal frame behind the last one. So it is where the first stamp of all is alone, and the others are not;
- stamps that stand, or rise by less than any camera's (`FASTEST_HZ`), say nothing: frames are put by the nominal rate;
- counters that run over (33 bits in MPEG) go on.

Nothing here takes memory or time by what a stamp says, only by how many there are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

HOLE_S = 5.0
RESTART_S = 5.0  # network cameras deliver a frame late by less; a clock that goes back further was set anew
LONGEST_HOLE_S = 7 * 86_400.0  # a clock that goes on by more was set
CONFIRM = 5  # stamps in line with each other that make a jump believed
MOST_HELD = 16  # frames that wait for a decision
FASTEST_HZ = 900.0  # what is faster counts ticks, not time: streams without stamps in containers that must have some
_SLOW_STEPS = 4.0  # frames of a slow source may lie so many nominal ones apart
_SLOWEST_S = 3600.0
_IN_STEP, _SHORT_S = 1.5, 1.0  # nominal frames of a step that is not looked at; seconds of one that is hardly
_SWAPPED = 3.0  # nominal frames that a stamp may be off without a word: some writers swap neighbours
_LONGEST_WRAPPED_S = 3600.0  # what goes on by more where the counter ran over went back in truth
_FRESH_S = 10.0  # a counter that begins anew begins below
_HALF = 0.5  # of a nominal frame
_BEHIND_S = 0.5  # a clock that stays further behind was set back
_TOLD = 3  # holes that are named one by one
_WRAPS_S = {"mpegts": 2**33 / 90_000, "mpeg": 2**33 / 90_000, "hls": 2**33 / 90_000, "flv": 2**32 / 1000}

Item = TypeVar("Item")


def longest_step_s(rate_hz: float) -> float:
    """Seconds between two frames of a source of `rate_hz`; what is longer is a hole."""
    return max(HOLE_S, min(_SLOW_STEPS / rate_hz, _SLOWEST_S))


def wrap_s(format_name: str) -> float | None:
    """Seconds after which the counter of a container runs over, by FFmpeg's name of it; None: never."""
    return next((_WRAPS_S[name] for name in format_name.split(",") if name in _WRAPS_S), None)


@dataclass
class StampCounts:
    """What was found in a source's stamps.

    Attributes:
        bad: stamps that left their neighbours.
        restarts: how often the clock began anew.
        wraps: how often a counter ran over that FFmpeg had not made up for.
        holes: (second at which pictures end, second of the next one).
        single: pauses between single pictures were seen, as a time lapse has them.
        crowded: frames in rows of `CONFIRM` and more whose stamps stand, or hardly rise.
    """

    bad: int = 0
    restarts: int = 0
    wraps: int = 0
    holes: list[tuple[float, float]] = field(default_factory=list)
    single: bool = False
    crowded: int = 0

    @property
    def in_order(self) -> bool:
        """Whether sorting the stamps gives the frames' order and times."""
        return not (self.bad or self.restarts or self.wraps or self.crowded)

    def sentences(self, what: str) -> list[str]:
        """What a person should know, a sentence a kind; `what` names the source."""
        told = []
        if self.bad:
            stamps = "1 time stamp leaves its" if self.bad == 1 else f"{self.bad} time stamps leave their"
            told.append(f"{stamps} neighbours in {what}; the frames were put between those")
        if self.restarts:
            often = "once" if self.restarts == 1 else f"{self.restarts} times"
            told.append(f"the clock begins anew {often} in {what}; seconds were counted on from the frame before")
        if self.crowded:
            told.append(f"{self.crowded} frames of {what} have no time of their own; they were put at its usual rate")
        if self.holes:
            places = ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in self.holes[:_TOLD])
            more = f" and {len(self.holes) - _TOLD} more times" if len(self.holes) > _TOLD else ""
            told.append(f"no pictures from {places}{more} in {what}; nothing is scored there")
        return told


class _Footing:
    """How far a frame is put behind the one before it where its own stamp does not say: by the stamps of both.

    One nominal frame, and less where that would lead away from the stamps: half of one where a stamp is given twice,
    and where stamps go on after they stood, until their frames are no longer ahead of them.

    Attributes:
        step_s: seconds, for the frame whose stamp was seen last.
        newest: stamp that was seen last.
        stood: stamps in a row that stand, or hardly rise.
    """

    def __init__(self, step_s: float) -> None:
        self._nominal_s = self.step_s = step_s
        self.newest: float | None = None
        self.stood = 0

    def see(self, stamp: float | None) -> None:
        """Take the next frame's stamp."""
        before, self.step_s = self.newest, self._nominal_s
        if stamp is None or before is None or stamp < before:
            self.stood = 0
        elif stamp - before < 1.0 / FASTEST_HZ:
            self.stood += 1
            if self.stood <= 2:  # a second one in the middle; a third shows that they stand
                self.step_s *= _HALF if self.stood == 1 else 1.0 + _HALF
        else:
            self.stood = 0
            self.step_s *= _HALF
        self.newest = before if stamp is None else stamp


class StampSieve(Generic[Item]):
    """Takes (stamp, item) in the order of presentation and gives them back in it, bad stamps made good.

    Items wait only while a jump is undecided: until `CONFIRM` stamps or the end tell, and no more than `MOST_HELD`.
    A stamp given back as None is not known.

    Args:
        rate_hz: the source's nominal frames a second.
    """

    def __init__(self, rate_hz: float, counts: StampCounts) -> None:
        self._step, self._longest, self.counts = 1.0 / rate_hz, longest_step_s(rate_hz), counts
        self._in_step, self._short = _IN_STEP * self._step, max(_SHORT_S, _SLOW_STEPS * self._step)
        self._last: float | None = None  # of the stamps given back
        self._footing = _Footing(self._step)
        self._held: list[tuple[float | None, Item]] = []

    def push(self, stamp: float | None, item: Item) -> Iterator[tuple[float | None, Item]]:
        """Take the next one; what is decided by it."""
        if self._held:
            self._held.append((stamp, item))
            yield from self._decided(stamp)
            return
        last = self._last
        if last is None or stamp is None:
            self._last = stamp if stamp is not None or last is None else last + self._step
            yield stamp, item
            return
        step = stamp - last
        if stamp == self._footing.newest or -self._longest <= step <= self._in_step:
            self._footing.see(stamp)
            self._last = stamp if step > 0 else last + self._footing.step_s
            yield stamp, item
            return
        self._held = [(stamp, item)]

    def flush(self) -> Iterator[tuple[float | None, Item]]:
        """The end: what is held, as far as it can be told."""
        if self._held:
            yield from self._resolved()

    def _decided(self, stamp: float | None) -> Iterator[tuple[float | None, Item]]:
        """What can be given back with the newest of those held, whose stamp this is."""
        first, last = self._held[0][0], self._last
        assert first is not None
        assert last is not None
        if 0 < first - last <= self._short:  # a step that is only long: the next stamp tells
            yield from self._after_a_long_step(first, last, stamp)
            return
        if stamp is None:
            if len(self._held) >= MOST_HELD:
                yield from self._resolved()
            return
        waited, line = len(self._held) - 1, self._line()
        if len(line) == 1 and 0 < stamp - last <= self._longest + waited * self._step:
            yield from self._between(last, stamp)
        elif len(line) >= CONFIRM:
            yield from self._believed(line)
        elif len(self._held) >= MOST_HELD:
            yield from self._resolved()

    def _after_a_long_step(self, first: float, last: float, stamp: float | None) -> Iterator[tuple[float | None, Item]]:
        if stamp is not None and last < stamp < first:
            yield from self._between(last, stamp)
            return
        (_, item), (_, newest) = self._held
        self._held, self._last = [], first
        yield first, item
        yield from self.push(stamp, newest)

    def _between(self, last: float, stamp: float) -> Iterator[tuple[float | None, Item]]:
        """The newest stamp goes on from the last one: those between were bad."""
        held, self._held, self._last = self._held, [], stamp
        count = len(held) - 1
        step = self._step if last + count * self._step < stamp else (stamp - last) / (count + 1)
        for place, (one, item) in enumerate(held[:-1], start=1):
            made = last + place * step
            self.counts.bad += one is not None and abs(one - made) > _SWAPPED * self._step
            yield made, item
        yield held[-1]

    def _line(self) -> set[int]:
        """Places of the stamps held that lead up to the newest, in line with each other; others stand between them."""
        places: set[int] = set()
        later: float | None = None
        for place in range(len(self._held) - 1, -1, -1):
            stamp = self._held[place][0]
            if stamp is not None and (later is None or 0 < later - stamp <= self._longest):
                places.add(place)
                later = stamp
        return places

    def _believed(self, places: set[int]) -> Iterator[tuple[float | None, Item]]:
        """The stamps held at these places are true."""
        held, self._held = self._held, []
        for place, (stamp, item) in enumerate(held):
            known = stamp if place in places else None
            self.counts.bad += stamp is not None and known is None
            if known is not None:
                self._last = known
            elif self._last is not None:
                self._last += self._step
            yield known, item

    def _resolved(self) -> Iterator[tuple[float | None, Item]]:
        """Nothing more is to be waited for: pauses between single frames, a line of its own, or bad ones."""
        known = [stamp for stamp, _ in self._held if stamp is not None]
        rising = len(known) > 1 and all(a < b for a, b in zip([self._last or 0.0, *known], known, strict=False))
        self.counts.single |= rising and known[1] - known[0] > self._longest
        if rising or (len(known) == 1 and self._last is not None and 0 < known[0] - self._last <= self._longest):
            yield from self._believed(set(range(len(self._held))))
        else:
            line = self._line()
            yield from self._believed(line if len(line) > 1 else set())


class FilmClock:
    """Sieved stamps of a recording -> seconds from its first frame, strictly rising.

    A frame without a stamp, or with one that does not rise, is put behind the one before it (`_Footing`).

    Args:
        wrap_s: seconds after which the counter runs over.
        origin: stamp of second 0, where it is known and frames do not begin with it.
    """

    def __init__(
        self, rate_hz: float, counts: StampCounts, wrap_s: float | None = None, origin: float | None = None
    ) -> None:
        self._step, self._longest, self._wrap_s = 1.0 / rate_hz, longest_step_s(rate_hz), wrap_s
        self.counts, self.origin = counts, origin
        self.last_s = -self._step
        self._placed = 0 if origin is None else None  # frames up to the second one; None: there were some before
        self._footing = _Footing(self._step)
        self._behind = 0  # stamps in a row that lie well before their frames' seconds

    def place(self, stamp: float | None, arrived: float = 0.0) -> float:
        """Second of the next frame; when it came is of no concern."""
        first, footing = self.last_s < 0, self._footing
        footing.see(stamp)
        if self.origin is None:
            self.origin = stamp if stamp is not None else 0.0
        if footing.stood >= CONFIRM:
            self.counts.crowded += CONFIRM if footing.stood == CONFIRM else 1
        known = stamp is not None and not footing.stood
        time_s = stamp - self.origin if stamp is not None and known else self.last_s + footing.step_s
        if stamp is not None and known and not first and not -self._longest <= time_s - self.last_s <= self._longest:
            time_s = self._after_a_jump(stamp, time_s)
        if time_s <= self.last_s:
            time_s = self._after_one_that_fell_behind(stamp, time_s)
        else:
            self._behind = 0
        if self._placed is not None and self._placed < 2:
            self._placed += 1
        self.last_s = time_s
        return time_s

    def _after_a_jump(self, stamp: float, time_s: float) -> float:
        """Second of a frame that lies far from the one before it."""
        assert self.origin is not None
        step = time_s - self.last_s
        if self._wrap_s is not None and (over := step % self._wrap_s) <= self._longest:
            self.counts.wraps += 1
            self.origin += step - over
            return self.last_s + over
        first_alone = self._placed == 1 and not self.counts.single
        if step > 0 and not first_alone and step <= LONGEST_HOLE_S and not self._went_back(stamp, step):
            self.counts.holes.append((self.last_s + self._step, time_s))
            return time_s
        if step > 0 and first_alone:
            self.counts.bad += 1
        else:
            self.counts.restarts += 1
        time_s = self.last_s + self._step
        self.origin = stamp - time_s
        return time_s

    def _after_one_that_fell_behind(self, stamp: float | None, time_s: float) -> float:
        """Second of a frame whose stamp does not rise; a clock that stays behind was set back."""
        behind = time_s < self.last_s - _BEHIND_S
        self._behind = self._behind + 1 if behind else 0
        time_s = self.last_s + (self._step if behind else self._footing.step_s)
        if self._behind == CONFIRM and stamp is not None:
            self.counts.restarts += 1
            self.origin, self._behind = stamp - time_s, 0
        return time_s

    def _went_back(self, stamp: float, step: float) -> bool:
        """Whether a stamp went back where FFmpeg took it that the counter had run over."""
        if self._wrap_s is None or math.floor(stamp / self._wrap_s) == math.floor((stamp - step) / self._wrap_s):
            return False
        return step > _LONGEST_WRAPPED_S or stamp % self._wrap_s < _FRESH_S


class TimeBrokenError(Exception):
    """The times of a stream jumped by `step_s`; 0: they stand still while pictures come."""

    def __init__(self, step_s: float) -> None:
        super().__init__(
            "its time stamps stand still; pictures count when they come"
            if not step_s
            else f"its time stamps went back by {-step_s:.1f} s"
            if step_s < 0
            else f"no pictures for {step_s:.1f} s"
        )
        self.step_s = step_s


class StreamClock:
    """Stamps of a stream -> seconds, strictly rising. What jumps is not made good, as in a recording, but told.

    Args:
        step_s: a nominal frame.
        hole_s: times that go on by more have pictures missing.
        wrap_s: seconds after which the counter runs over.
        origin: stamp of second 0; None: the first frame's.
    """

    def __init__(self, step_s: float, hole_s: float, wrap_s: float | None = None, origin: float | None = None) -> None:
        self._hole_s, self._wrap_s, self.origin = hole_s, wrap_s, origin
        self.last_s = -step_s
        self._begun = False
        self._stood_s, self._stood_since, self._stood = -math.inf, 0.0, 0  # second, arrival; frames that came since

    def place(self, stamp_s: float | None, arrived: float) -> float | None:
        """Second of the next frame; None for one that does not advance. Without a stamp it is shown when it comes.

        Raises:
            TimeBrokenError: the times jumped: the source began again, or pictures are missing; or they stand still.
        """
        stamp = arrived if stamp_s is None else stamp_s
        if self.origin is None:
            self.origin = stamp
        step = stamp - self.origin - self.last_s
        if self._begun and not -RESTART_S <= step <= self._hole_s:
            over = step % self._wrap_s if self._wrap_s is not None else math.inf
            if over > self._hole_s:
                raise TimeBrokenError(step)
            self.origin += step - over  # the counter ran over
        time_s = stamp - self.origin
        self._stands(time_s, arrived)
        if self._begun and time_s <= self.last_s:
            return None
        self._begun, self.last_s = True, time_s
        return time_s

    def _stands(self, time_s: float, arrived: float) -> None:
        """Raise where frames have come for as long as a hole lasts, and their stamps hardly rose meanwhile."""
        self._stood += 1
        if time_s - self._stood_s > self._stood / FASTEST_HZ:
            self._stood_s, self._stood_since, self._stood = time_s, arrived, 0
        elif self._stood >= CONFIRM and arrived - self._stood_since > self._hole_s:
            raise TimeBrokenError(0.0)


class FilmTimes(Generic[Item]):
    """Sieve and clock of a recording: (stamp, item) in the order of presentation -> (item, second)."""

    def __init__(self, rate_hz: float, wrap_s: float | None = None, origin: float | None = None) -> None:
        self.counts = StampCounts()
        self._sieve: StampSieve[Item] = StampSieve(rate_hz, self.counts)
        self._clock = FilmClock(rate_hz, self.counts, wrap_s, origin)

    def push(self, stamp: float | None, item: Item) -> Iterator[tuple[Item, float]]:
        """Take the next frame's stamp in seconds; frames whose second is known by it."""
        for known, one in self._sieve.push(stamp, item):
            yield one, self._clock.place(known)

    def flush(self) -> Iterator[tuple[Item, float]]:
        """The end: the frames that were held."""
        for known, one in self._sieve.flush():
            yield one, self._clock.place(known)
