"""The motion descriptors said plainly, with numpy's own functions and arctan2: the oracle of motion_descriptors.py."""

import cv2
import numpy as np

UNIT_LONG_SIDE, UNIT_S, GRID_LONG_SIDE = 160.0, 0.04, 40

Fields = np.ndarray
Series = np.ndarray


def flow_fields(gray: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Optical flow (x to the right, y down) of each pair on the coarse grid, in speed units.

    The median of each field is taken off: a camera that pans moves everything alike.
    """
    rows, columns = _grid(gray.shape[1:])
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    scale = UNIT_LONG_SIDE / max(gray.shape[1:]) * UNIT_S / np.maximum(np.diff(times), 1e-3)
    fields = np.empty((len(gray) - 1, rows, columns, 2), dtype=np.float32)
    for pair in range(len(gray) - 1):
        flow = method.calc(gray[pair], gray[pair + 1], None)
        fields[pair] = cv2.resize(flow, (columns, rows), interpolation=cv2.INTER_AREA) * scale[pair]
    return np.asarray(fields - np.median(fields, axis=(1, 2), keepdims=True))


def describe_pairs(gray: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Every descriptor of every pair, group by group; the first pair's changes in time are 0."""
    flow = flow_fields(gray, times)
    speed = np.hypot(flow[..., 0], flow[..., 1])
    groups = (
        _picture_change(gray, times),
        _amount(speed),
        _concentration(speed),
        _acceleration(flow, speed),
        _boundaries(flow, speed),
        _incoherence(flow, speed),
        _direction(flow, speed),
        _moving_region(speed),
    )
    return np.stack([series for group in groups for series in group], axis=1).astype(np.float64)


def _picture_change(gray: np.ndarray, times: np.ndarray) -> list[Series]:
    """Grey differences over one and two steps and the second difference: amounts, and their ratios."""
    steps = np.maximum(np.diff(times) / UNIT_S, 1e-3)[:, None, None]
    rows, columns = _grid(gray.shape[1:])
    coarse = np.stack([cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA) for frame in gray])
    coarse = coarse.astype(np.float32)
    once = np.abs(np.diff(coarse, axis=0))
    twice, second = np.zeros_like(once), np.zeros_like(once)
    twice[1:] = np.abs(coarse[2:] - coarse[:-2])
    second[1:] = np.abs(coarse[2:] - 2 * coarse[1:-1] + coarse[:-2])
    amount, amount_twice, amount_second = (_mean(field) for field in (once, twice, second))
    contrast = coarse[1:].std(axis=(1, 2))
    return [
        _log(_mean(once / steps), 0.25),
        *(_log(values, 0.5) for values in _quantiles(once / steps, (0.5, 0.9, 0.97, 0.995))),
        np.log((amount + 0.3) / (amount_twice + 0.3)),
        _log(amount_second, 0.5),
        np.log((amount_second + 0.3) / (amount_twice + 0.3)),
        np.log((amount + 0.3) / (contrast + 5.0)),
    ]


def _amount(speed: Fields) -> list[Series]:
    """How fast and how much of the picture moves."""
    fractions = (np.sqrt((speed > level).mean(axis=(1, 2))) for level in (0.3, 0.7, 1.5))
    quantiles = _quantiles(speed, (0.5, 0.75, 0.9, 0.97, 0.995))
    return [_log(_mean(speed), 0.05), *(_log(values, 0.1) for values in quantiles), *fractions]


def _concentration(speed: Fields) -> list[Series]:
    """Whether motion sits in a few windows of the picture (10 along its long side) or everywhere."""
    rows, columns = speed.shape[1] // 4, speed.shape[2] // 4
    size = (max(columns, 1), max(rows, 1))
    windows = np.stack([cv2.resize(field, size, interpolation=cv2.INTER_AREA) for field in speed])
    ranked = -np.sort(-windows.reshape(len(speed), -1), axis=1)
    total = ranked.sum(axis=1) + 0.05
    share = (ranked + 0.005) / (ranked + 0.005).sum(axis=1, keepdims=True)
    return [
        _log(ranked[:, 0], 0.05),
        _log(ranked[:, :3].mean(axis=1), 0.05),
        _log(ranked[:, :8].mean(axis=1), 0.05),
        ranked[:, 0] / total,
        ranked[:, :5].sum(axis=1) / total,
        -(share * np.log(share)).sum(axis=1),
    ]


def _acceleration(flow: np.ndarray, speed: Fields) -> list[Series]:
    """Change of the flow from one pair to the next, raw and smoothed over 3 x 3 cells, and reversals."""
    smooth = np.stack([cv2.blur(field, (3, 3)) for field in flow])
    smooth_speed = np.hypot(smooth[..., 0], smooth[..., 1])
    change, smooth_change = _step(flow), _step(smooth)
    along, both = np.zeros_like(speed), np.zeros_like(speed)
    along[1:] = (smooth[1:] * smooth[:-1]).sum(axis=-1)
    both[1:] = smooth_speed[1:] * smooth_speed[:-1]
    weight = both.sum(axis=(1, 2)) + 0.25
    return [
        _log(_mean(change), 0.05),
        *(_log(values, 0.1) for values in _quantiles(change, (0.9, 0.97, 0.995))),
        _mean(change) / (_with_previous(_mean(speed)) + 0.05),
        _log(_mean(smooth_change), 0.05),
        *(_log(values, 0.1) for values in _quantiles(smooth_change, (0.97, 0.995))),
        _mean(smooth_change) / (_with_previous(_mean(smooth_speed)) + 0.05),
        np.maximum(-along, 0).sum(axis=(1, 2)) / weight,
        along.sum(axis=(1, 2)) / weight,
    ]


def _boundaries(flow: np.ndarray, speed: Fields) -> list[Series]:
    """Spatial derivatives of the flow: size, quantiles, share of the speed, rotation and expansion."""
    x_by_row, x_by_column = np.gradient(flow[..., 0], axis=(1, 2))
    y_by_row, y_by_column = np.gradient(flow[..., 1], axis=(1, 2))
    size = np.sqrt(x_by_row**2 + x_by_column**2 + y_by_row**2 + y_by_column**2)
    return [
        _log(_mean(size), 0.02),
        *(_log(values, 0.05) for values in _quantiles(size, (0.9, 0.97, 0.995))),
        _mean(size) / (_mean(speed) + 0.05),
        _log(_mean(np.abs(y_by_column - x_by_row)), 0.02),
        _log(_mean(np.abs(x_by_column + y_by_row)), 0.02),
    ]


def _incoherence(flow: np.ndarray, speed: Fields) -> list[Series]:
    """Mean speed less speed of the mean flow in a window: 0 for rigid motion, large where limbs fly apart."""
    series: list[Series] = []
    for side in (3, 5):
        mean_flow = np.stack([cv2.blur(field, (side, side)) for field in flow])
        mean_speed = np.stack([cv2.blur(field, (side, side)) for field in speed])
        together = np.hypot(mean_flow[..., 0], mean_flow[..., 1])
        apart = mean_speed - together
        series += [
            together.sum(axis=(1, 2)) / (mean_speed.sum(axis=(1, 2)) + 1e-3 * apart[0].size),
            _log(_mean(apart), 0.02),
            *(_log(values, 0.05) for values in _quantiles(apart, (0.97, 0.995))),
        ]
    return [*series, _log(mean_speed.max(axis=(1, 2)), 0.05)]


def _direction(flow: np.ndarray, speed: Fields) -> list[Series]:
    """Histogram of directions weighted by speed (entropy, largest bin), vertical share, downward share."""
    bins = (np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) * 8).astype(int) % 8
    weights = [(speed * (bins == b)).sum(axis=(1, 2)) + 0.01 * speed[0].size / 8 for b in range(8)]
    share = np.stack(weights, axis=1)
    share /= share.sum(axis=1, keepdims=True)
    horizontal, vertical = _mean(np.abs(flow[..., 0])), _mean(np.abs(flow[..., 1]))
    return [
        -(share * np.log(share)).sum(axis=1),
        share.max(axis=1),
        np.log((vertical + 0.05) / (horizontal + 0.05)),
        _mean(np.maximum(flow[..., 1], 0)) / (_mean(speed) + 0.05),
    ]


def _moving_region(speed: Fields) -> list[Series]:
    """Spread, area and speed of the region that moves at least a quarter as fast as the fastest part."""
    fastest = _quantiles(speed, (0.995,))[0]
    moving = speed > np.maximum(0.5, 0.25 * fastest)[:, None, None]
    cells = moving.sum(axis=(1, 2)) + 1e-3
    row, column = np.mgrid[: speed.shape[1], : speed.shape[2]].astype(np.float32)
    middle_row, middle_column = ((moving * axis).sum(axis=(1, 2)) / cells for axis in (row, column))
    squared = (row - middle_row[:, None, None]) ** 2 + (column - middle_column[:, None, None]) ** 2
    region_speed = (speed * moving).sum(axis=(1, 2)) / cells
    return [
        np.sqrt((moving * squared).sum(axis=(1, 2)) / cells) / speed.shape[2],
        np.sqrt(cells / speed[0].size),
        _log(region_speed, 0.1),
        np.log((region_speed + 0.1) / (2 * np.sqrt(cells) + 2.0)),
    ]


def _grid(size: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the coarse grid for a picture of (height, width)."""
    height, width = size
    scale = GRID_LONG_SIDE / max(height, width)
    return max(4, round(height * scale)), max(4, round(width * scale))


def _mean(fields: Fields) -> Series:
    return np.asarray(fields.mean(axis=(1, 2)))


def _log(values: Series, floor: float) -> Series:
    """Logarithm that is 0 at 0 and linear below `floor`."""
    return np.asarray(np.log1p(values / floor))


def _quantiles(fields: Fields, levels: tuple[float, ...]) -> list[Series]:
    flat = fields.reshape(len(fields), -1)
    ranks = [min(flat.shape[1] - 1, int(level * flat.shape[1])) for level in levels]
    ordered = np.partition(flat, ranks, axis=1)
    return [ordered[:, rank] for rank in ranks]


def _step(flow: np.ndarray) -> Fields:
    """Length of the flow's change since the pair before; 0 for the first pair."""
    change = np.zeros(flow.shape[:3], dtype=np.float32)
    difference = np.diff(flow, axis=0)
    change[1:] = np.hypot(difference[..., 0], difference[..., 1])
    return change


def _with_previous(values: Series) -> Series:
    """Sum with the pair before; the first pair counts twice."""
    return np.asarray(values + np.concatenate([values[:1], values[:-1]]))
