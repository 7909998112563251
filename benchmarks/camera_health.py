"""How soon a camera's faults are told, and how often one is told that is none, on real footage.

    python benchmarks/camera_health.py ../shared/data/survfights

Each shot of four seconds and more (a recording of this set is several cameras, a few seconds each) is played to and
fro as a camera of its own: for a minute as it is, which is where false ones are counted, then with a fault put in.
Of recordings as they are, cuts and all, those troubles alone are counted that know no view: frozen, black, covered.
"""

import argparse
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from refinevad.apps.live.capture.looks import LONG_SIDE, LookMaker
from refinevad.apps.live.health import PictureHealth, TroubleName

LOOKS_HZ = 2.0
SHOT_LOOKS, CUT = 8, 18.0  # the least, and the mean step of grey that tells a cut
BEFORE_S, AFTER_S = 60.0, 60.0
Gray = UInt8[np.ndarray, "_ _"]


def blurred(picture: Gray) -> Gray:
    """Out of focus by a hundredth of the picture's width."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), picture.shape[1] / 80))


def moved(picture: Gray) -> Gray:
    """Turned by 15 degrees and aside by a fifth of the picture."""
    height, width = picture.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 15, 1.3)
    turn[0, 2] += 0.2 * width
    return np.asarray(cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT))


def covered(picture: Gray, noise: np.random.Generator) -> Gray:
    """A cloth, unevenly lit."""
    height, width = picture.shape
    rows, columns = np.mgrid[:height, :width]
    return _noisy(70 + 25 * columns / width + 10 * rows / height, noise)


def black(picture: Gray, noise: np.random.Generator) -> Gray:
    """Night without a light."""
    return _noisy(np.full(picture.shape, 17.0), noise)


def _noisy(levels: np.ndarray, noise: np.random.Generator) -> Gray:
    return np.clip(levels + noise.normal(0, 1.5, levels.shape), 0, 255).astype(np.uint8)


def pictures(path: Path) -> list[Gray]:
    """What a camera's process would look at: small grey pictures, two a second."""
    taken, due = [], 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= due:
                due = frame.time + 1 / LOOKS_HZ
                scale = LONG_SIDE / max(frame.width, frame.height)
                width, height = (round(side * scale / 2) * 2 for side in (frame.width, frame.height))
                taken.append(frame.reformat(width=width, height=height, format="gray").to_ndarray())
    return taken


def shots(recording: Sequence[Gray]) -> list[Sequence[Gray]]:
    """Its parts between cuts that are long enough."""
    steps = [float(np.abs(b.astype(int) - a).mean()) for a, b in pairwise(recording)]
    bounds = [0, *(place + 1 for place, step in enumerate(steps) if step > CUT), len(recording)]
    parts = [recording[a:b] for a, b in pairwise(bounds)]
    return [part for part in parts if len(part) >= SHOT_LOOKS]


def to_and_fro(shot: Sequence[Gray]) -> Iterator[Gray]:
    """For ever, without a cut."""
    while True:
        yield from shot
        yield from shot[-2:0:-1]


def told(
    before: Sequence[Gray], after: Sequence[Gray] = (), only: frozenset[TroubleName] | None = None
) -> tuple[Counter[str], dict[str, float]]:
    """How often each trouble began in `before`, and after how many seconds of `after` first."""
    maker, health, was = LookMaker(), PictureHealth(), set[TroubleName]()
    began, seconds = Counter[str](), dict[str, float]()
    for place, picture in enumerate([*before, *after]):
        now = health.look(**vars(maker.of(picture, place / LOOKS_HZ)))
        new, was = now - was, now
        for name in new if only is None else new & only:
            if place < len(before):
                began[name] += 1
            else:
                seconds.setdefault(name, (place - len(before)) / LOOKS_HZ)
    return began, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    recordings = [pictures(path) for path in sorted(parser.parse_args().data.rglob("*.mp4"))]
    hours = sum(map(len, recordings)) / LOOKS_HZ / 3600
    whole: Counter[str] = Counter()
    for recording in recordings:
        whole += told(recording, only=frozenset(("frozen", "black", "covered")))[0]
    print(f"recordings as they are, {hours:.2f} h: {dict(whole) or 'none told'}")
    every = [shot for recording in recordings for shot in shots(recording)]
    noise = np.random.default_rng(0)
    faults: dict[str, Callable[[Gray], Gray]] = {
        "blurred": blurred,
        "moved": moved,
        "covered": lambda picture: covered(picture, noise),
        "black": lambda picture: black(picture, noise),
    }
    false: Counter[str] = Counter()
    for name in (*faults, "frozen"):
        times, others = [], Counter[str]()
        for shot in every:
            film = to_and_fro(shot)
            sound = [next(film) for _ in range(round(BEFORE_S * LOOKS_HZ))]
            spoilt = [next(film) for _ in range(round(AFTER_S * LOOKS_HZ))]
            bad = [sound[-1]] * len(spoilt) if name == "frozen" else [faults[name](picture) for picture in spoilt]
            began, seconds = told(sound, bad)
            if name == "frozen":
                false += began
            times.append(seconds.pop(name, math.inf))
            others.update(seconds)
        found = [time for time in times if time < math.inf]
        late = f"after {np.median(found):.0f} s (most {max(found):.0f} s)" if found else ""
        print(f"{name}: told {len(found)} of {len(times)} {late}; other troubles told of it: {dict(others) or 'none'}")
    minutes = len(every) * BEFORE_S / 60
    print(f"the same {len(every)} shots, sound, to and fro for {minutes:.0f} min: {dict(false) or 'none told'}")


if __name__ == "__main__":
    main()
