"""What a detection leaves on disk: `<stem>.json`, `<stem>.csv` and `<stem>.html`, and an overview of a batch."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refinevad.apps.report.detection_section import SCRIPTS, detection_section
from refinevad.apps.report.overview import LONG, BatchEntry, overview_html
from refinevad.apps.report.page import page
from refinevad.detection.found import Detection
from refinevad.detection.record import detection_csv, detection_json, detection_record
from refinevad.files.remote import RemotePath
from refinevad.files.whole import atomic_write, fitting

_LONGEST_END = "-9999.annotated.mp4"  # what may come behind a report's stem


@dataclass(frozen=True)
class WrittenDetection:
    """The three files of one detection; `html` is not there where no report was asked for."""

    json: Path
    csv: Path
    html: Path


def report_stems(videos: Sequence[Path]) -> list[str]:
    """A file stem for each video, told apart by a counter where two videos share a name."""
    stems: list[str] = []
    taken: set[str] = set()
    for video in videos:
        first = stem = fitting(video.stem, _LONGEST_END)
        count = 2
        while stem.casefold() in taken:
            stem, count = f"{first}-{count}", count + 1
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def write_detection(
    detection: Detection,
    out_dir: Path,
    video_path: Path | None,
    keyframes: Mapping[int, bytes] | None = None,
    *,
    stem: str | None = None,
    report: bool = True,
    cautions: Sequence[str] = (),
) -> WrittenDetection:
    """Write the JSON document, the CSV and the self-contained HTML report of one video.

    Args:
        detection: what the detector found.
        out_dir: made when absent.
        video_path: the video, linked relative to the report so that it plays there; None: no player.
        keyframes: JPEG by the event's place in `detection.events`; None: taken from `video_path`.
        stem: name of the files; the video's own when None.
        report: whether the HTML report is written, too.
        cautions: how far the model may be believed, a sentence each; they stand in the report's head.

    Raises:
        InputError: a file cannot be written, or the video cannot be opened for keyframes.
    """
    stem = stem if stem is not None else fitting(Path(detection.video).stem, _LONGEST_END)
    document = detection_json(detection_record(detection))  # first: it refuses what is not a number
    written = WrittenDetection(*(out_dir / f"{stem}.{suffix}" for suffix in ("json", "csv", "html")))
    texts = {written.json: document, written.csv: detection_csv(detection)}
    if report:
        pictures, href = event_keyframes(detection, video_path, keyframes), relative_href(video_path, out_dir)
        section = detection_section(detection, pictures, href, cautions=cautions)
        title = f"{detection.video}: detection"
        texts[written.html] = page(title, section, provenance(detection), scripts=SCRIPTS, uplot=True)
    for path, text in texts.items():
        write_text(path, text)
    return written


def write_overview(out_dir: Path, entries: Sequence[BatchEntry], cautions: Sequence[str] = ()) -> Path:
    """Write `index.html` over a batch: one row a video, with its verdict, curve and a link to its report.

    Args:
        cautions: as `write_detection`.
    """
    path = out_dir / "index.html"
    models = {str(entry.detection.model.get("encoder", "")) for entry in entries if entry.detection}
    scripts = ("overview.js",) if len(entries) >= LONG else ()
    body = overview_html(entries, cautions)
    write_text(path, page("Detections", body, {"encoder": ", ".join(sorted(models))}, scripts=scripts))
    return path


def write_text(path: Path, text: str) -> None:
    """The whole text as UTF-8, or the file as it was before."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace", newline="")


def event_keyframes(
    detection: Detection, video_path: Path | None, keyframes: Mapping[int, bytes] | None = None
) -> Mapping[int, bytes]:
    """The given keyframes, or those of `video_path`, or none."""
    if keyframes is not None or video_path is None or not detection.events:
        return keyframes or {}
    from refinevad.apps.report.keyframes import extract_keyframes

    return extract_keyframes(video_path, detection.events, in_order=not detection.notes)


def relative_href(video_path: Path | None, folder: Path) -> str | None:
    """Path of the video as seen from a page in `folder`; None when there is none, as across Windows drives."""
    if video_path is None or isinstance(video_path, RemotePath) or isinstance(folder, RemotePath):
        return None  # a browser opens no store
    try:
        return Path(os.path.relpath(video_path, folder)).as_posix()
    except ValueError:
        return None


def provenance(detection: Detection) -> dict[str, str]:
    """What made a detection, for the footer of a page."""
    rate = detection.alerts_per_hour
    return {
        "model": str(detection.model.get("run", "")),
        "encoder": str(detection.model.get("encoder", "")),
        "threshold": f"{detection.threshold:.4f}",
        "event ends below": f"{detection.low_threshold:.4f}",
        "alert rate aimed at": f"{rate:g} an hour",
    }
