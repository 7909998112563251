"""Golden vectors of the default encoder: what each part of each version says of a few small clips.

`tests/goldens/lite-VERSION.json` is written by the plain ways alone, never by the encoder: motion by
reference_motion.py, what the image network sees by eager PyTorch. Whoever changes a value raises the encoder's version
and writes the next file beside the old ones:

    PYTHONPATH=src:tests python tests/lite_golden.py
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

import reference_motion
from refinevad.encoders.base import Clip
from refinevad.encoders.efficientnet_eager import load_eager
from refinevad.encoders.efficientnet_weights import VARIANTS
from refinevad.encoders.lite import LiteEncoder

FOLDER = Path(__file__).parent / "goldens"
CHANGE_CELLS = 10


def clips() -> dict[str, Clip]:
    """Two people-sized patches that move unevenly over a still scene, and what other segments have of their own.

    A cut to another scene; a single pair; 20 pairs that count, whose largest fifth is 4.
    """
    gray = np.stack([picture(frame, 0) for frame in range(22)])
    cut = np.concatenate([gray[:4], [picture(frame, 1) for frame in range(4, 9)]])
    return {
        "moving": clip_of(gray[:9]),
        "with a cut": clip_of(cut),
        "a single pair": clip_of(gray[3:5]),
        "long": clip_of(gray, step_s=0.1),
    }


def clip_of(gray: np.ndarray, step_s: float = 0.08) -> Clip:
    """A segment of these grey frames; colour frames a quarter and three quarters through it."""
    rows, columns = (np.arange(224) * side // 224 for side in gray.shape[1:])
    looked = [len(gray) // 4, 3 * len(gray) // 4]
    seen = gray[looked][:, rows][:, :, columns]
    rgb = np.stack([seen, 255 - seen, seen // 2], axis=-1)
    times = np.arange(len(gray)) * step_s
    return Clip(rgb, times[looked], gray, times, 0.0, float(times[-1]), lead=True)


def picture(frame: int, scene: int) -> np.ndarray:
    """One grey frame, 90 x 160: waves that no frame repeats, a patch that hastens right, one that shakes."""
    row, column = np.mgrid[:90, :160].astype(float)
    levels = texture(row + 300 * scene, column)
    right, down = 1.0 * frame**1.5, 2.0 * np.sin(1.9 * frame)
    for top, left, by_row, by_column in ((20, 30, 0.3 * frame, right), (30, 100, down, -3.0 * np.cos(1.3 * frame))):
        y, x = row - top - by_row, column - left - by_column
        inside = (y >= 0) & (y < 40) & (x >= 0) & (x < 24)
        levels[inside] = texture(y + 500, x + 70)[inside]
    return levels.round().astype(np.uint8)


def texture(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Levels 16 to 240, smooth, with structure everywhere."""
    waves = np.sin(0.31 * row + 0.17 * column), np.sin(0.23 * row - 0.41 * column), np.sin(0.53 * column + 0.11 * row)
    return 128 + 112 * np.mean(waves, axis=0)


def plain_parts(clip: Clip) -> dict[str, np.ndarray]:
    """Every part of one clip's vector, plainly."""
    pooled, middle = seen(clip)
    return {
        **reference_motion.motion_parts(clip.gray, clip.gray_times),
        "frame_difference": np.array([reference_motion.frame_difference(clip.gray, clip.gray_times)]),
        "change": change(middle, clip),
        "appearance": pooled.mean(axis=0),
    }


def seen(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Pooled and middle features of the colour frames by eager PyTorch."""
    with torch.no_grad():
        pooled, middle = load_eager(VARIANTS["efficientnet-lite0"])(torch.from_numpy(clip.rgb))
    return pooled.double().numpy(), middle.double().numpy()


def change(middle: np.ndarray, clip: Clip) -> np.ndarray:
    """Per channel the mean step of the ten cells that step most; 0 where a cut lies between the two frames."""
    first, last = np.searchsorted(clip.gray_times, clip.rgb_times)
    if any(reference_motion.cuts(clip.gray)[first:last]):
        return np.zeros(middle.shape[1])
    steps = np.abs(middle[1] - middle[0]).reshape(middle.shape[1], -1)
    return np.array([sum(sorted(cells)[-CHANGE_CELLS:]) / CHANGE_CELLS for cells in steps])


def path_of(version: int) -> Path:
    return FOLDER / f"lite-{version}.json"


def read(version: int) -> dict[str, dict[str, np.ndarray]]:
    """Golden values by clip and part."""
    stored = json.loads(path_of(version).read_text(encoding="utf-8"))
    return {clip: {part: np.array(values) for part, values in parts.items()} for clip, parts in stored.items()}


def main() -> str | None:
    version = LiteEncoder().identity.preprocessing["version"]
    path = path_of(version)
    if path.exists():
        return f"{path} is there: what a version gives never changes; raise the encoder's version first"
    stored = {
        name: {part: [round(float(value), 5) for value in values] for part, values in plain_parts(clip).items()}
        for name, clip in clips().items()
    }
    path.write_text(json.dumps(stored, indent=0).replace(",\n", ", ") + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main())
