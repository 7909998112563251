"""A detection as a table of pandas, which is no dependency of refinevad."""

from typing import Any

import numpy as np
from jaxtyping import Int

from refinevad.detection.findings import Findings
from refinevad.errors import InputError


def as_frame(detection: Findings) -> Any:
    """`Detection.to_pandas`. Raises InputError where pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise InputError(f"a table needs pandas ({error}); pip install pandas, or use to_json") from error
    times = detection.times_s
    columns = {
        "start_s": times[:, 0],
        "end_s": times[:, 1],
        "score": detection.scores,
        **{f"category.{name}": detection.category_scores[:, i] for i, name in enumerate(detection.categories)},
    }
    place = event_of_segment(detection)
    columns["event"] = pandas.array(place, dtype="Int64")
    columns["event"][place < 0] = pandas.NA
    return pandas.DataFrame(columns)


def event_of_segment(detection: Findings) -> Int[np.ndarray, "segment"]:
    """Place in `events` of the one that each segment lies in; -1 where it lies in none."""
    middle = detection.times_s.mean(axis=1)
    place = np.full(len(middle), -1, dtype=np.int64)
    for index, event in enumerate(detection.events):
        place[(middle >= event.start_s) & (middle < event.end_s)] = index
    return place
