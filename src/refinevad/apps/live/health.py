"""What can be wrong with a camera, and when it counts: told once when it has lasted, cleared once when it is over.

The bounds were set on real footage with the fault put in (benchmarks/camera_health.py).
"""

import math
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal, get_args

TroubleName = Literal["offline", "slow", "frozen", "black", "covered", "blurred", "moved", "above"]
TROUBLES: tuple[TroubleName, ...] = get_args(TroubleName)
DARK, FLAT, DIM = 32.0, 8.0, 16.0  # grey levels: brightness and contrast of a black picture, contrast of a covered one
STILL = 0.02  # grey levels from look to look: any sensor's noise changes more
SHARP = 0.45  # of the detail that its picture had before
ALIKE = 0.5  # correlation of edges with those of the view before
SLOW = 0.4  # of the frames a second that it had before
LEARN_LOOKS = 20  # a picture's own measures are taken over as many first
_FORGET_LOOKS = 600  # and follow it slowly after that
_SETTLED_S = 10.0  # after pictures begin to come their rate says nothing
# seconds that each lasts until it is told, and that it is away until it is cleared
LASTS: Mapping[TroubleName, tuple[float, float]] = {
    "offline": (30.0, 0.0),
    "slow": (30.0, 15.0),
    "frozen": (30.0, 2.0),
    "black": (10.0, 5.0),
    "covered": (10.0, 5.0),
    "blurred": (15.0, 10.0),
    "moved": (15.0, 10.0),
    "above": (0.0, 0.0),  # track.py has waited
}
SAYS: Mapping[TroubleName, str] = {
    "offline": "no picture comes: see whether it has power and can be reached",
    "slow": "far fewer frames come than before: see its network and its other viewers",
    "frozen": "its picture stands still: start the camera again",
    "black": "its picture is black: see its light and its lens",
    "covered": "its picture shows next to nothing: something is before its lens",
    "blurred": "its picture has lost its sharpness: clean its lens or set its focus",
    "moved": "it looks elsewhere than before: set it right, or leave it and masks and zones be drawn anew",
}


@dataclass(frozen=True)
class Trouble:
    """One that is on. `since` in Unix seconds; `id` is the same when it is told and when it is cleared."""

    name: TroubleName
    since: float
    text: str
    id: str


@dataclass
class _Lasting:
    """A condition that counts once it has held for a while, until it has been away for a while."""

    after_s: float
    clear_s: float
    on: bool = False
    turned: float | None = None  # since when it is not as `on` says

    def see(self, holds: bool, now: float) -> bool:
        """Take what is so at `now`; whether it counts."""
        if holds == self.on:
            self.turned = None
        else:
            self.turned = now if self.turned is None or now < self.turned else self.turned
            if now - self.turned >= (self.after_s if holds else self.clear_s):
                self.on, self.turned = holds, None
        return self.on


class PictureHealth:
    """Whether a picture can be seen, from looks at it (capture/looks.py), on the seconds of its stream."""

    def __init__(self) -> None:
        self._focus: list[float] = []
        self._known = math.nan  # the detail that it usually has
        self._lasting = {name: _Lasting(*LASTS[name]) for name in ("frozen", "black", "covered", "blurred", "moved")}

    def look(
        self, time_s: float, brightness: float, contrast: float, focus: float, change: float, likeness: float
    ) -> set[TroubleName]:
        """Take a look (capture/messages.py); which troubles count now."""
        black = brightness < DARK and contrast < FLAT
        covered = not black and contrast < DIM
        seen = not black and not covered
        learnt = not math.isnan(self._known)
        blurred = seen and learnt and focus < SHARP * self._known
        holds = {
            "frozen": change < STILL,
            "black": black,
            "covered": covered,
            "blurred": blurred,
            "moved": seen and learnt and not blurred and likeness < ALIKE,
        }
        if seen and not blurred:
            self._learn(focus)
        return {name for name, lasting in self._lasting.items() if lasting.see(holds[name], time_s)}

    def _learn(self, focus: float) -> None:
        if len(self._focus) < LEARN_LOOKS:
            self._focus.append(focus)
            if len(self._focus) == LEARN_LOOKS:
                self._known = median(self._focus)
        else:
            self._known += (focus - self._known) / _FORGET_LOOKS


class Health:
    """All that is wrong with one camera. Times are monotonic seconds, but for `wall`."""

    def __init__(self) -> None:
        self.picture = PictureHealth()
        self.seen: set[TroubleName] = set()  # what the newest look said
        self._offline, self._slow = _Lasting(*LASTS["offline"]), _Lasting(*LASTS["slow"])
        self._usual_fps, self._rated = 0.0, -math.inf  # and when that was looked at last
        self._since: float | None = None
        self._on: dict[TroubleName, Trouble] = {}

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Those that are on, in the order in which they began."""
        return tuple(self._on.values())

    def judge(self, now: float, wall: float, *, online: bool, away: bool, fps: float, above: str) -> bool:
        """Take what is so; whether any trouble has come or gone.

        Args:
            online: pictures come; away: they should, and do not (a recording that is over is neither).
            fps: frames a second over the last seconds.
            above: what track.py says of a score that stays above its threshold.
        """
        if self._offline.see(away, now):
            self.seen = set()  # nothing can be told of a picture that does not come
        names = {*self.seen, *self._told(now, online, fps), *(("above",) if above else ())}
        before = set(self._on)
        self._on = {name: trouble for name, trouble in self._on.items() if name in names}
        for name in (name for name in TROUBLES if name in names - before):
            self._on[name] = Trouble(name, wall, SAYS.get(name, above), uuid.uuid4().hex)
        if above:  # it says for how long
            self._on["above"] = replace(self._on["above"], text=above)
        return set(self._on) != before

    def rest(self) -> bool:
        """Nothing is wrong with a recording that is over; whether anything was."""
        had, self._on, self.seen = bool(self._on), {}, set()
        return had

    def _told(self, now: float, online: bool, fps: float) -> Iterator[TroubleName]:
        if self._offline.on:
            yield "offline"
        self._since = (self._since or now) if online else None
        steady = self._since is not None and now - self._since > _SETTLED_S
        few = steady and fps < SLOW * self._usual_fps
        if self._slow.see(few, now):
            yield "slow"
        elif steady and not few and now - self._rated >= 1.0:
            self._rated = now
            self._usual_fps += (fps - self._usual_fps) * (1.0 if not self._usual_fps else 1.0 / _FORGET_LOOKS)
