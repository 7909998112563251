"""The oracle of motion_descriptors.py: one pair of frames at a time, each descriptor from its definition."""

import itertools

import cv2
import numpy as np

UNIT_LONG_SIDE, UNIT_S, GRID_LONG_SIDE = 160.0, 0.04, 40


def describe_pairs(gray: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(pair, descriptor), in the order of the groups; what compares with the pair before is 0 for the first."""
    # one for all pairs: on pictures too narrow for its scales OpenCV's takes others from the second call on
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flows = [flow_of(method, gray[i], gray[i + 1], times[i + 1] - times[i]) for i in range(len(gray) - 1)]
    coarse = [on_grid(frame).astype(np.float64) for frame in gray]
    rows = []
    for pair, flow in enumerate(flows):
        before = flows[pair - 1] if pair else None
        step = max((times[pair + 1] - times[pair]) / UNIT_S, 1e-3)
        rows.append(
            [
                *picture_change(coarse[pair + 1], coarse[pair], coarse[pair - 1] if pair else None, step),
                *amount(speed(flow)),
                *concentration(speed(flow)),
                *acceleration(flow, before),
                *boundaries(flow),
                *incoherence(flow, 3),
                *incoherence(flow, 5),
                near_zero_log(windows(speed(flow), 5).max(), 0.05),
                *direction(flow),
                *moving_region(speed(flow)),
            ]
        )
    return np.array(rows)


def grid(height: int, width: int) -> tuple[int, int]:
    scale = GRID_LONG_SIDE / max(height, width)
    return max(4, round(height * scale)), max(4, round(width * scale))


def on_grid(picture: np.ndarray) -> np.ndarray:
    rows, columns = grid(*picture.shape[:2])
    return cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)


def flow_of(method: cv2.DISOpticalFlow, before: np.ndarray, after: np.ndarray, seconds: float) -> np.ndarray:
    """(row, column, x and y) in speed units, the median of each component taken off."""
    scale = UNIT_LONG_SIDE / max(before.shape) * UNIT_S / max(seconds, 1e-3)
    flow = on_grid(method.calc(before, after, None)).astype(np.float64) * scale
    return flow - np.median(flow, axis=(0, 1))


def speed(flow: np.ndarray) -> np.ndarray:
    return np.hypot(flow[..., 0], flow[..., 1])


def windows(field: np.ndarray, side: int) -> np.ndarray:
    """Mean over side x side cells around each cell; beyond the rim the picture is mirrored, the rim's cell once."""
    half = side // 2
    pad = [(half, half), (half, half)] + [(0, 0)] * (field.ndim - 2)
    wide = np.pad(field, pad, mode="reflect")
    rows, columns = field.shape[:2]
    return np.mean([wide[r : r + rows, c : c + columns] for r in range(side) for c in range(side)], axis=0)


def near_zero_log(value: float, floor: float) -> float:
    return float(np.log1p(value / floor))


def quantile(field: np.ndarray, level: float) -> float:
    """The value so far up in the order, none in between."""
    ordered = sorted(field.ravel())
    return float(ordered[min(len(ordered) - 1, int(level * len(ordered)))])


def picture_change(now: np.ndarray, last: np.ndarray, earlier: np.ndarray | None, step: float) -> list[float]:
    once = np.abs(now - last)
    twice = np.abs(now - earlier).mean() if earlier is not None else 0.0
    second = np.abs(now - 2 * last + earlier).mean() if earlier is not None else 0.0
    return [
        near_zero_log(once.mean() / step, 0.25),
        *(near_zero_log(quantile(once, level) / step, 0.5) for level in (0.5, 0.9, 0.97, 0.995)),
        np.log((once.mean() + 0.3) / (twice + 0.3)),
        near_zero_log(second, 0.5),
        np.log((second + 0.3) / (twice + 0.3)),
        np.log((once.mean() + 0.3) / (now.std() + 5.0)),
    ]


def amount(moving: np.ndarray) -> list[float]:
    return [
        near_zero_log(moving.mean(), 0.05),
        *(near_zero_log(quantile(moving, level), 0.1) for level in (0.5, 0.75, 0.9, 0.97, 0.995)),
        *(np.sqrt(np.count_nonzero(moving > level) / moving.size) for level in (0.3, 0.7, 1.5)),
    ]


def concentration(moving: np.ndarray) -> list[float]:
    rows, columns = (max(side // 4, 1) for side in moving.shape)
    small = cv2.resize(moving, (columns, rows), interpolation=cv2.INTER_AREA)
    ranked = np.array(sorted(small.ravel(), reverse=True))
    total = ranked.sum() + 0.05
    share = (ranked + 0.005) / (ranked + 0.005).sum()
    return [
        *(near_zero_log(ranked[:first].mean(), 0.05) for first in (1, 3, 8)),
        ranked[0] / total,
        ranked[:5].sum() / total,
        -sum(part * np.log(part) for part in share),
    ]


def acceleration(flow: np.ndarray, before: np.ndarray | None) -> list[float]:
    smooth = windows(flow, 3)
    previous = flow if before is None else before  # the first pair counts twice in what is divided by
    calm = windows(previous, 3)
    change = np.zeros(flow.shape[:2]) if before is None else speed(flow - before)
    smooth_change = np.zeros(flow.shape[:2]) if before is None else speed(smooth - calm)
    along = np.zeros(flow.shape[:2]) if before is None else (smooth * calm).sum(axis=-1)
    weight = (0.0 if before is None else (speed(smooth) * speed(calm)).sum()) + 0.25
    return [
        near_zero_log(change.mean(), 0.05),
        *(near_zero_log(quantile(change, level), 0.1) for level in (0.9, 0.97, 0.995)),
        change.mean() / (speed(flow).mean() + speed(previous).mean() + 0.05),
        near_zero_log(smooth_change.mean(), 0.05),
        *(near_zero_log(quantile(smooth_change, level), 0.1) for level in (0.97, 0.995)),
        smooth_change.mean() / (speed(smooth).mean() + speed(calm).mean() + 0.05),
        np.maximum(-along, 0).sum() / weight,
        along.sum() / weight,
    ]


def boundaries(flow: np.ndarray) -> list[float]:
    x_by_row, x_by_column = np.gradient(flow[..., 0])
    y_by_row, y_by_column = np.gradient(flow[..., 1])
    size = np.sqrt(x_by_row**2 + x_by_column**2 + y_by_row**2 + y_by_column**2)
    return [
        near_zero_log(size.mean(), 0.02),
        *(near_zero_log(quantile(size, level), 0.05) for level in (0.9, 0.97, 0.995)),
        size.mean() / (speed(flow).mean() + 0.05),
        near_zero_log(np.abs(y_by_column - x_by_row).mean(), 0.02),
        near_zero_log(np.abs(x_by_column + y_by_row).mean(), 0.02),
    ]


def incoherence(flow: np.ndarray, side: int) -> list[float]:
    together, each = speed(windows(flow, side)), windows(speed(flow), side)
    apart = each - together
    return [
        together.sum() / (each.sum() + 1e-3 * apart.size),
        near_zero_log(apart.mean(), 0.02),
        *(near_zero_log(quantile(apart, level), 0.05) for level in (0.97, 0.995)),
    ]


def direction(flow: np.ndarray) -> list[float]:
    weights = np.full(8, 0.01 * flow[..., 0].size / 8)
    for x, y in flow.reshape(-1, 2):
        weights[int(np.arctan2(y, x) / (2 * np.pi) * 8) % 8] += np.hypot(x, y)
    share = weights / weights.sum()
    horizontal, vertical = np.abs(flow[..., 0]).mean(), np.abs(flow[..., 1]).mean()
    return [
        -(share * np.log(share)).sum(),
        share.max(),
        np.log((vertical + 0.05) / (horizontal + 0.05)),
        np.maximum(flow[..., 1], 0).mean() / (speed(flow).mean() + 0.05),
    ]


def moving_region(moving: np.ndarray) -> list[float]:
    inside = moving > max(0.5, 0.25 * quantile(moving, 0.995))
    cells = np.count_nonzero(inside) + 1e-3
    places = np.argwhere(inside)
    middle = places.sum(axis=0) / cells
    spread = ((places - middle) ** 2).sum() / cells
    region = moving[inside].sum() / cells
    return [
        np.sqrt(spread) / moving.shape[1],
        np.sqrt(cells / moving.size),
        near_zero_log(region, 0.1),
        np.log((region + 0.1) / (2 * np.sqrt(cells) + 2.0)),
    ]


def motion_parts(gray: np.ndarray, times: np.ndarray) -> dict[str, np.ndarray]:
    """The three motion parts of one segment: over the pairs that tell of motion."""
    series = describe_pairs(gray, times)[usable_pairs(gray)]
    if not len(series):
        series = np.zeros((1, series.shape[1]))
    fifth = max(1, len(series) // 5)
    return {
        "motion_mean": series.sum(axis=0) / len(series),
        "motion_deviation": np.sqrt(((series - series.mean(axis=0)) ** 2).sum(axis=0) / len(series)),
        "motion_peak": np.array([sum(sorted(column)[-fifth:]) / fifth for column in series.T]),
    }


def usable_pairs(gray: np.ndarray) -> list[int]:
    """Pairs with no cut in them or just before; not the first, which has no acceleration, unless it is the only one."""
    across = cuts(gray)
    calm = [pair for pair in range(len(gray) - 1) if not across[pair] and not (pair and across[pair - 1])]
    return calm if calm == [0] else [pair for pair in calm if pair]


def cuts(gray: np.ndarray) -> list[bool]:
    """A cut's mean difference is more than 4 levels above 3 times the others' median, and twice the runner-up."""
    steps = [np.abs(after.astype(float) - before).mean() for before, after in itertools.pairwise(gray)]
    found = []
    for pair, step in enumerate(steps):
        others = steps[:pair] + steps[pair + 1 :]
        found.append(len(others) > 1 and step > 4 + 3 * np.median(others) and step > 2 * max(others))
    return found


def frame_difference(gray: np.ndarray, times: np.ndarray) -> float:
    """Mean difference of the pairs without a cut, in levels per 1/25 s."""
    rates = [
        np.abs(gray[pair + 1].astype(float) - gray[pair]).mean() * UNIT_S / (times[pair + 1] - times[pair])
        for pair, across in enumerate(cuts(gray))
        if not across
    ]
    return sum(rates) / len(rates) if rates else 0.0
