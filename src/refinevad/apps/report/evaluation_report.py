"""The pages about a data set: the evaluation alone, or with the detection in one unseen video below it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from refinevad.apps.report.detection_section import SCRIPTS, Truth, detection_section
from refinevad.apps.report.evaluation_section import EVALUATION_SCRIPTS, Evaluation, evaluation_section
from refinevad.apps.report.page import page
from refinevad.apps.report.writer import event_keyframes, provenance, relative_href, write_text
from refinevad.detection.found import Detection


def write_evaluation_report(path: Path, evaluation: Evaluation) -> None:
    """Write one self-contained HTML file about an evaluation.

    Raises:
        InputError: the file cannot be written.
    """
    body = evaluation_section(evaluation)
    write_text(path, page(f"{evaluation.title}: evaluation", body, evaluation.provenance, scripts=_scripts(evaluation)))


def write_demo_report(
    path: Path,
    evaluation: Evaluation,
    detection: Detection,
    video_path: Path | None,
    keyframes: Mapping[int, bytes] | None = None,
    truth: Sequence[Truth] = (),
) -> None:
    """Write one self-contained HTML file: the detection in an unseen video, then the evaluation of the same model.

    Args:
        path: of the page.
        evaluation: on the held-out videos.
        detection: in the unseen video.
        video_path: that video, linked relative to the page.
        keyframes: JPEG by the event's place in `detection.events`; None: taken from `video_path`.
        truth: what really happens in that video.

    Raises:
        InputError: the file cannot be written, or the video cannot be opened for keyframes.
    """
    pictures = event_keyframes(detection, video_path, keyframes)
    body = "\n".join(
        [
            detection_section(detection, pictures, relative_href(video_path, path.parent), truth=truth),
            '<hr class="between">',
            evaluation_section(evaluation, heading="h1"),
        ]
    )
    made_by = {**provenance(detection), **evaluation.provenance}
    write_text(
        path,
        page(f"{evaluation.title}: demo", body, made_by, scripts=(*SCRIPTS, *_scripts(evaluation)), uplot=True),
    )


def _scripts(evaluation: Evaluation) -> tuple[str, ...]:
    return EVALUATION_SCRIPTS if evaluation.videos else ()
