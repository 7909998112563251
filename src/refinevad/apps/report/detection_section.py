"""The report of one video: verdict, player, score curve, category strip and a card for each event."""

import base64
import os
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import numpy as np

from refinevad.apps.report.page import cautioning, data_uri, embedded_json, facts
from refinevad.apps.report.path_section import lift_sentence, paths_figure
from refinevad.apps.report.where_section import where_sentence, where_svg
from refinevad.detection.curve import drawn_curve
from refinevad.detection.found import Detection
from refinevad.detection.lifts import event_lifts
from refinevad.detection.wording import clock, escape, length, span, verdict
from refinevad.scoring.events import Event
from refinevad.scoring.where import Located
from refinevad.video.masks import share_hidden

SCRIPTS = ("detection.js",)
Truth = tuple[float, float, str]  # start and end in seconds, category
_SHOWN_CATEGORIES = 4  # probability bars on an event's card


def detection_section(
    detection: Detection,
    keyframes: Mapping[int, bytes],
    video_href: str | None,
    *,
    heading: str = "h1",
    truth: Sequence[Truth] = (),
    cautions: Sequence[str] = (),
) -> str:
    """HTML of one detection; `detection.js` and uPlot bring it to life.

    Args:
        detection: what the detector found.
        keyframes: JPEG by the event's place in `detection.events`.
        video_href: path of the video relative to the page, not yet quoted; None: no player.
        heading: element of the title, `h1` alone on a page and `h2` inside a larger one.
        truth: what really happens, where that is known.
        cautions: how far the model may be believed, a sentence each.
    """
    alarm, line = " alarm" if detection.events else "", detection.timeline
    peak = float(np.max(detection.scores)) if len(detection.scores) else 0.0
    parts = [
        '<section class="detection">',
        '<p class="kicker">Detection</p>',
        f"<{heading}>{escape(detection.video)}</{heading}>",
        f'<p class="verdict{alarm}">{escape(verdict(detection))}</p>',
        cautioning(cautions),
        facts(
            {
                "Duration": length(detection.duration_s),
                "With pictures": length(line.shown_s) if len(line.breaks) else "",
                "Frames": f"{detection.frames:,} at {detection.rate_hz:.4g} a second",
                "Highest score": f"{peak:.2f}",
                "Threshold": f"{detection.threshold:.2f}",
                "Events": str(len(detection.events)),
                "Left out": f"{share_hidden(detection.zones):.0%} of the picture" if detection.zones else "",
                "What really happens": "; ".join(f"{name}, {clock(a)}–{clock(b)}" for a, b, name in truth),
            }
        ),
        *(f'<p class="note">{escape(sentence)}</p>' for sentence in detection.notes),
        _stage(video_href),
        _timeline(bool(truth)),
        paths_figure(line, detection.paths, detection.events),
        _events(detection, keyframes),
        embedded_json("detection-data", _drawing(detection) | {"truth": [[float(a), float(b)] for a, b, _ in truth]}),
        "</section>",
    ]
    return "\n".join(parts)


def _stage(video_href: str | None) -> str:
    if video_href is None:
        return ""
    return (
        '<div class="stage" hidden>'
        f'<video controls playsinline preload="metadata" src="{escape(quote(os.fsencode(video_href)))}"></video>'
        '<aside class="now card" aria-label="At the playhead"><span class="state">quiet</span>'
        '<div class="score number">0.00</div><div class="of">score</div><div class="bars"></div>'
        '<ol class="jump" aria-label="Events"></ol></aside></div>'
        '<p class="note novideo" hidden>The video is not beside this report, or this browser cannot play it: '
        f"put it at <code>{escape(video_href)}</code> to play and seek.</p>"
    )


def _timeline(truth: bool) -> str:
    known = '<span><i class="truth"></i>what really happens</span>' if truth else ""
    return (
        '<figure class="timeline card"><header><span class="readout"></span><span class="tools">'
        '<button class="tool previous" type="button">‹ Event</button>'
        '<button class="tool next" type="button">Event ›</button>'
        '<button class="tool whole" type="button" disabled>Whole video</button></span></header>'
        '<div class="plot" tabindex="0" role="slider" aria-label="Time in the score curve"></div>'
        '<div class="strip" aria-hidden="true"></div>'
        '<figcaption class="legend"><span><i class="event"></i>event</span>'
        f'{known}<span><i class="dash"></i>threshold'
        '</span><span><i class="dots"></i>an event ends below</span><span class="heat"><i class="heat"></i>'
        'score of a category, 0 to 1</span><span class="keys">Drag to zoom · <kbd>←</kbd> <kbd>→</kbd> one second '
        "(<kbd>Shift</kbd> ten) · <kbd>N</kbd> <kbd>P</kbd> events · <kbd>Space</kbd> play</span></figcaption>"
        "<noscript><p class='note'>The curve needs JavaScript; the events below do not.</p></noscript></figure>"
    )


def _events(detection: Detection, keyframes: Mapping[int, bytes]) -> str:
    if not detection.events:
        return ""
    names = detection.paths.names if detection.paths is not None else {}
    cards = [
        _card(index, event, keyframes.get(index), _by_path(detection, event), detection.located.get(index), names)
        for index, event in enumerate(detection.events)
    ]
    return f'<h2>Events</h2><ol class="events">{"".join(cards)}</ol>'


def _by_path(detection: Detection, event: Event) -> str:
    paths = detection.paths
    return "" if paths is None else lift_sentence(paths, event_lifts(paths, detection.timeline, event))


def _card(
    index: int,
    event: Event,
    jpeg: bytes | None,
    by_path: str,
    located: Located | None,
    names: Mapping[str, str],
) -> str:
    peak = f'<span class="at">peak at {clock(event.peak_s)}</span>'
    label = escape(f"Go to {event.category} at {clock(event.peak_s)}")
    if jpeg:
        inside = (
            f'<img alt="" decoding="async" src="{data_uri(jpeg)}">{where_svg(located, jpeg) if located else ""}{peak}'
        )
        button = f'<button class="frame" type="button" aria-label="{label}">{inside}</button>'
    else:
        button = f'<button class="frame blank" type="button" aria-label="{label}">{peak}</button>'
    ranked = sorted(event.probabilities.items(), key=lambda item: -item[1])[:_SHOWN_CATEGORIES]
    bars = [
        f'<span class="name" title="{escape(name)}">{escape(name)}</span><span class="track">'
        f'<i style="width:{100 * min(max(value, 0.0), 1.0):.1f}%"></i></span><span class="value">{value:.2f}</span>'
        for name, value in ranked
    ]
    return (
        f'<li class="card" data-event="{index}">{button}<div class="body"><div class="head">'
        f'<h3>{escape(event.category)}</h3><span class="score">{event.peak:.2f}</span></div>'
        f'<p class="when">{span(event)} · {length(event.end_s - event.start_s)}</p>'
        f'<div class="bars">{"".join(bars)}</div>'
        + (f'<p class="where">{where_sentence(located, names)}</p>' if located else "")
        + (f'<p class="by-path">{escape(by_path)}</p>' if by_path else "")
        + "</div></li>"
    )


def _drawing(detection: Detection) -> dict[str, object]:
    """What the script draws: the reduced curve, the strip in per cent, the events as they are."""
    curve = drawn_curve(detection.timeline, detection.scores, detection.category_scores)
    reduced = len(curve.starts) < detection.timeline.segments
    return {
        "duration": float(detection.duration_s),
        "ahead": float(detection.start_s),
        "threshold": float(detection.threshold),
        "low": float(detection.low_threshold),
        "categories": list(detection.categories),
        "x": np.round(curve.x, 3).tolist(),
        "y": [None if np.isnan(y) else y for y in np.round(curve.y, 4).tolist()],
        "starts": np.round(curve.starts, 3).tolist(),
        "ends": np.round(curve.ends, 3).tolist(),
        "high": np.round(curve.high, 4).tolist(),
        "heat": np.round(100 * curve.categories.T).astype(int).tolist(),
        "detail": _detail(detection) if reduced else None,
        "events": [
            {
                "start": float(event.start_s),
                "end": float(event.end_s),
                "peak": float(event.peak),
                "at": float(event.peak_s),
                "category": event.category,
            }
            for event in detection.events
        ],
    }


def _detail(detection: Detection) -> dict[str, str]:
    """Every segment of a long video, packed, for the script to draw a stretch from when zoomed in."""
    scores = np.clip(detection.scores, 0.0, 1.0)
    heat = np.clip(detection.category_scores.T, 0.0, 1.0)
    return {
        "starts": _base64(detection.timeline.time_bounds[:-1].astype("<f4")),
        "ends": _base64(detection.timeline.ends_s.astype("<f4")),
        "scores": _base64(np.round(scores * 65535).astype("<u2")),
        "heat": _base64(np.round(heat * 100).astype("u1")),
    }


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
