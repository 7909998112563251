"""Whether the place that an event is told to come from is where it happens, against boxes that are known.

    refinevad train ../shared/data/survfights --out out/survfights
    python benchmarks/where.py marked --data ../shared/data/survfights --model out/survfights
    python benchmarks/where.py rendered --data out/demo/videos --model out/demo/run

`marked`: benchmarks/data/survfights_boxes.csv, drawn by hand. `rendered`: the demo's videos, whose cast is known.
Of each event the segment with the highest score is looked at, whether or not it exceeds a threshold. Columns: events
whose strongest cell lies in the box, share of the weight in it, overlap of the told box with the true one (IoU), and
CPU seconds an event. Beside it the plainest answers: the middle of the picture, and where grey levels change most.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
from jaxtyping import Bool, Float

from refinevad.apps.demo import incidents
from refinevad.apps.demo.camera import CANVAS_HEIGHT, CANVAS_WIDTH, FRAME_HEIGHT, FRAME_WIDTH, MARGIN, SUPERSAMPLE
from refinevad.apps.demo.demo_set import DemoSize, plan_demo_set
from refinevad.apps.demo.layout import LIGHTS, make_layout
from refinevad.apps.demo.render import Shot
from refinevad.apps.demo.staging import Stage
from refinevad.apps.terminal import note, table
from refinevad.detector import Detector
from refinevad.files.cells import write_cells
from refinevad.locating import CONTEXT, Peak, locate
from refinevad.scoring.scores import score
from refinevad.scoring.where import Box, Where
from refinevad.video.frames import Clip
from refinevad.video.left_out import CellGrid
from refinevad.video.recording import Recording

BOXES = Path(__file__).with_name("data") / "survfights_boxes.csv"
CHOSEN_ON = (
    "ACEGIKMOQSUW"  # scenes by which the windows, what fills them, the weights and the region's bound were chosen
)
_DRAWN = 24  # grey levels by which something is seen


@dataclass(frozen=True)
class Event:
    """Boxes of one event, each for a stretch of the video, with the group of events that it counts to."""

    video: Path
    boxes: tuple[tuple[float, float, Box, str], ...]


def marked(data: Path) -> Iterator[Event]:
    """Rows that follow each other in one video are one event."""
    with BOXES.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    boxes: list[tuple[float, float, Box, str]] = []
    for row, later in zip(rows, [*rows[1:], None], strict=True):
        start, end = float(row["start_s"]), float(row["end_s"])
        box = (float(row["left"]), float(row["top"]), float(row["right"]), float(row["bottom"]))
        group = "survfights" if row["scene"] in CHOSEN_ON else "survfights, other scenes"
        boxes.append((start, end, box, group))
        if later is None or later["path"] != row["path"] or float(later["start_s"]) - end > 0.5:
            yield Event(data / row["path"], tuple(boxes))
            boxes = []


def rendered(data: Path, seed: int) -> Iterator[Event]:
    """The demo's videos, second by second, of all splits: nobody tells a model places in any."""
    for shot in plan_demo_set(seed, DemoSize())[:-1]:
        if shot.event is None:
            continue
        boxes = [
            (float(second), second + 1.0, box, f"demo, {shot.category}")
            for second in np.arange(shot.event[0], shot.event[1], 1.0)
            if (box := _cast_box(shot, int((second + 0.5) * float(shot.rate)))) is not None
        ]
        yield Event(data / shot.path, tuple(boxes))


def _cast_box(shot: Shot, frame: int) -> Box | None:
    """Around those who do it, without who only looks on, in one frame; None where nothing of them is seen."""
    assert shot.event is not None
    stage = Stage(
        make_layout(shot.town, shot.camera),
        LIGHTS[shot.light],
        np.arange(shot.frames) / float(shot.rate),
        np.random.default_rng(list(shot.seed)),
        gain=np.ones(shot.frames),
    )
    stage.furnish()
    before, looking = len(stage.solids), set[int]()

    def noted(here: Stage, centre: tuple[float, float], alarm: float, count: int, flee: bool, happens: bool) -> None:
        first = len(here.solids)
        _witnesses(here, centre, alarm, count, flee, happens)
        looking.update(range(first, len(here.solids)))

    with mock.patch.object(incidents, "witnesses", noted):
        incidents.INCIDENTS[shot.category](stage, *shot.event, True)
    frame = min(frame, shot.frames - 1)
    canvas = np.zeros((CANVAS_HEIGHT, CANVAS_WIDTH, 3), np.uint8)
    for place in range(before, len(stage.solids)):
        if place not in looking and stage.solids[place].visible[frame if not stage.solids[place].still else 0]:
            stage.solids[place].draw(canvas, frame)
    border = SUPERSAMPLE * MARGIN
    inside = cv2.resize(canvas[border:-border, border:-border], (FRAME_WIDTH, FRAME_HEIGHT))
    seen = inside.max(axis=2) > 0
    if shot.category == "fire":  # what burns is light over the picture, and nobody's
        seen = np.zeros_like(seen)
        for overlay in stage.overlays:
            if type(overlay).__name__ == "Flames":
                picture = np.zeros((FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
                overlay.draw(picture, frame, np.zeros(2))
                seen |= picture.max(axis=2) > _DRAWN
    return _around(seen)


_witnesses = incidents.witnesses


def _around(seen: Bool[np.ndarray, "row column"]) -> Box | None:
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return None
    high, wide = seen.shape
    return columns[0] / wide, rows[0] / high, (columns[-1] + 1) / wide, (rows[-1] + 1) / high


def peak_of(detector: Detector, event: Event) -> tuple[Peak, Box, str] | None:
    """The event's segment with the highest score, its known box and its group; None: no box at any segment."""
    encoder = detector.video_encoder
    clips = list(Recording(event.video, encoder.needs, detector.rule).whole())
    values = encoder.encode_clips(clips)
    scores = score(detector.checkpoint.model, values).segments
    middles = [(clip.start_s + clip.end_s) / 2 for clip in clips]
    boxes = {
        place: (box, group)
        for start, end, box, group in event.boxes
        for place, middle in enumerate(middles)
        if start <= middle < end
    }
    if not boxes:
        return None
    place = max(boxes, key=lambda one: float(scores[one]))
    return Peak(clips[place], values[max(0, place - CONTEXT) : place + 1]), *boxes[place]


def plain_answers(clip: Clip, grid: CellGrid) -> Iterator[tuple[str, Where]]:
    """The middle cells, and each cell's mean step of grey from frame to frame."""
    middle = np.zeros((grid.rows, grid.columns))
    rows, columns = (slice((side - 1) // 2, side // 2 + 1) for side in middle.shape)
    middle[rows, columns] = 1.0
    yield "middle of the picture", Where(middle / middle.sum())
    steps = np.abs(np.diff(clip.gray.astype(np.float32), axis=0)).mean(axis=0)
    moving = cv2.resize(steps, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA).astype(np.float64)
    yield "where grey levels change most", Where(moving / moving.sum())


@dataclass
class Tally:
    """Sums over the events of one row."""

    events: int = 0
    hits: float = 0.0
    weight: float = 0.0
    overlap: float = 0.0
    seconds: float = 0.0

    def take(self, where: Where, box: Box, seconds: float) -> None:
        inside = _inside(where.weights, box)
        self.events += 1
        self.hits += float(inside[where.weights == where.weights.max()].mean())  # of several the average
        self.weight += float(where.weights[inside].sum())
        self.overlap += _iou(where.box, box)
        self.seconds += seconds

    def cells(self) -> tuple[str, ...]:
        count = max(self.events, 1)
        shares = (self.weight / count, self.overlap / count)
        took = f"{self.seconds / count:.2f}" if self.seconds else "-"
        return (str(self.events), f"{self.hits:.1f}", *(f"{share:.2f}" for share in shares), took)


def _inside(weights: Float[np.ndarray, "row column"], box: Box) -> Bool[np.ndarray, "row column"]:
    """Cells whose middle lies in the box."""
    rows, columns = ((np.arange(side) + 0.5) / side for side in weights.shape)
    left, top, right, bottom = box
    across = (columns >= left) & (columns <= right)
    return np.asarray(((rows >= top) & (rows <= bottom))[:, None] & across[None, :])


def _iou(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    common = max(wide, 0.0) * max(high, 0.0)
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return common / (sum(areas) - common)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", choices=("marked", "rendered"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="of the demo")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there, too (docs/results/data)")
    arguments = parser.parse_args()
    detector = Detector.open(arguments.model)
    events = marked(arguments.data) if arguments.truth == "marked" else rendered(arguments.data, arguments.seed)
    tallies: dict[tuple[str, str], Tally] = {}
    for event in events:
        found = peak_of(detector, event)
        if found is None:
            note(f"{event.video.name}: nothing of it is seen in any segment; left out")
            continue
        peak, box, group = found
        grid = CellGrid.of(peak.clip, detector.video_encoder.needs)
        assert grid is not None
        began = time.process_time()
        located = locate(detector.checkpoint.model, detector.video_encoder, peak)
        took = time.process_time() - began
        nowhere = Where(np.full((grid.rows, grid.columns), 1.0 / (grid.rows * grid.columns)))
        answers = [("what the score came from", located.where if located else nowhere, took)]
        answers += [(name, where, 0.0) for name, where in plain_answers(peak.clip, grid)]
        area = Where(np.full((grid.rows, grid.columns), 1.0 / (grid.rows * grid.columns)))
        answers.append(("anywhere, by chance", area, 0.0))
        for name, where, seconds in answers:
            tallies.setdefault((group, name), Tally()).take(where, box, seconds)
    head = ("events of", "place", "events", "strongest cell in the box", "weight in it", "overlap (IoU)", "CPU seconds")
    rows = [head, *((*key, *tally.cells()) for key, tally in tallies.items())]
    print(table(rows))
    if arguments.csv is not None:
        write_cells(arguments.csv, rows)


if __name__ == "__main__":
    main()
