"""What stands where in front of a camera: road, pavements, houses, lamps, trees; and the light it is seen by.

A street runs along x. From near to far: a near pavement (or square), the road, a far pavement, a row of houses.
The camera's yaw turns this into a view across the street, along it, or over a square.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float

from refinevad.apps.demo.camera import CANVAS_WIDTH, Camera

Number = float | int
Colour = tuple[Number, Number, Number]  # blue, green, red, 0..255


@dataclass(frozen=True)
class Light:
    """One kind of daylight. Gains multiply surface colours (blue, green, red)."""

    name: str
    sky_top: Colour
    sky_low: Colour
    ambient: Colour  # gain of everything
    sun: tuple[float, float] | None  # ground shift of a shadow for each metre of height, or no shadow
    lamps: Number  # strength of the street lamps, 0: off
    noise: float  # standard deviation of the sensor's noise in grey levels
    hour: int


LIGHTS: dict[str, Light] = {
    "sun": Light("sun", (205, 160, 105), (240, 222, 200), (0.98, 1.02, 1.06), (0.75, 0.42), 0.0, 1.5, 14),
    "overcast": Light("overcast", (196, 188, 180), (222, 218, 212), (0.84, 0.83, 0.80), None, 0.0, 1.8, 10),
    "dusk": Light("dusk", (130, 92, 82), (120, 150, 222), (0.50, 0.47, 0.52), None, 0.55, 2.8, 20),
    "night": Light("night", (34, 22, 16), (52, 40, 34), (0.26, 0.21, 0.19), None, 1.0, 4.0, 23),
}
LAMP_COLOUR = np.array([0.42, 0.70, 0.95])  # sodium lamps: gain right below a lamp
LAMP_REACH_M = 4.5


@dataclass(frozen=True)
class House:
    """A house whose front is the plane z = `z` from x = `left` to `left + width`; metres."""

    left: float
    width: float
    height: float
    z: float
    wall: Colour
    shop: str  # name over the shop window, empty: dwelling
    seed: int


@dataclass(frozen=True)
class Layout:
    """All that does not move before one camera."""

    kind: str
    number: int
    camera: Camera
    near_edge: float  # z where the near pavement meets the road
    far_edge: float  # z where the road meets the far pavement
    front: float  # z of the house fronts
    side_street: tuple[float, float] | None  # x range of a street between the houses
    crossing_x: float
    houses: tuple[House, ...]
    lamps: tuple[tuple[float, float], ...]
    trees: tuple[tuple[float, float, float], ...]  # x, z, height
    benches: tuple[tuple[float, float], ...]
    bins: tuple[tuple[float, float], ...]
    paving: Colour
    tile_m: float

    @property
    def lanes(self) -> tuple[tuple[float, int], tuple[float, int]]:
        """(z, direction along x) of both lanes: traffic keeps to the right."""
        quarter = (self.far_edge - self.near_edge) / 4
        return (self.near_edge + quarter, 1), (self.far_edge - quarter, -1)

    @property
    def walks(self) -> tuple[tuple[float, float], ...]:
        """z ranges one can walk along: the near pavement where the camera sees one, and the far one."""
        far = (self.far_edge + 0.7, self.front - 1.0)
        return ((max(self.near_edge - 5.5, 4.5), self.near_edge - 0.8), far) if self.near_edge > 7.0 else (far,)

    def visible_x(self, z: float, border: float = 0.0) -> tuple[float, float]:
        """x range that is inside the frame at depth line z (empty ranges collapse to one point)."""
        xs = np.linspace(-45, 60, 421)
        pixels, depth = self.camera.project(np.stack([xs, np.zeros_like(xs), np.full_like(xs, z)], axis=1))
        inside = (depth > 2) & (depth < 40) & (np.abs(pixels[:, 0] / CANVAS_WIDTH - 0.5) < 0.5 - border)
        return (float(xs[inside].min()), float(xs[inside].max())) if inside.any() else (0.0, 0.0)

    @cached_property
    def stages(self) -> Float[np.ndarray, "spot 2"]:
        """Ground spots (x, z) on a pavement, near enough and inside the frame, where something can happen."""
        farthest = 16.0 if self.kind == "forecourt" else 12.0
        rows = np.concatenate([np.arange(low + 0.3, high, 0.4) for low, high in self.walks])
        x, z = np.meshgrid(np.arange(-25.0, 25.0, 0.5), rows)
        near = (np.hypot(x, z) > 5.5) & (np.hypot(x, z) < farthest)
        spots = np.stack([x[near], z[near]], axis=1)
        inside: Float[np.ndarray, "spot 2"] = spots[self.camera.in_frame(spots, 0.2)]
        return inside


def light_at(
    layout: Layout, light: Light, x: Float[np.ndarray, "*batch"], z: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch 3"]:
    """Colour gain of a surface near the ground at (x, z): the ambient light and each lamp's pool."""
    gain: Float[np.ndarray, "*batch 3"] = np.broadcast_to(
        np.array(light.ambient, np.asarray(x).dtype), (*np.shape(x), 3)
    ).copy()
    if light.lamps > 0:
        pool = np.zeros(np.shape(x), np.asarray(x).dtype)
        for lamp_x, lamp_z in layout.lamps:
            squared = (x - lamp_x) ** 2 + (z - lamp_z) ** 2
            pool += 1.0 / (1.0 + squared / LAMP_REACH_M**2) ** 2
        gain += light.lamps * np.minimum(pool, 1.1)[..., None] * (0.75 * LAMP_COLOUR).astype(gain.dtype)
    return gain


WALLS: tuple[Colour, ...] = (
    (92, 112, 158),
    (150, 182, 205),
    (168, 172, 176),
    (124, 156, 190),
    (108, 130, 148),
    (190, 205, 214),
    (98, 104, 128),
    (150, 160, 140),
    (120, 150, 200),
    (176, 186, 170),
)
PAVINGS: tuple[Colour, ...] = ((158, 164, 168), (150, 166, 182), (172, 172, 168), (140, 150, 160))
SHOPS = (
    "CAFE",
    "BAKERY",
    "MARKET",
    "BOOKS",
    "PHARMACY",
    "BANK",
    "FLOWERS",
    "PIZZA",
    "MOBILE",
    "HOTEL",
    "SHOES",
)


def _houses(rng: np.random.Generator, front: float, gap: tuple[float, float] | None) -> tuple[House, ...]:
    shops = list(rng.permutation(np.array(SHOPS)))
    houses: list[House] = []
    left = -46.0
    while left < 75.0:
        width = float(rng.uniform(8, 14))
        if gap and left < gap[1] and left + width > gap[0]:
            width = gap[0] - left
            if width < 4.0:
                left = gap[1]
                continue
        shop = str(shops[len(houses) % len(shops)]) if rng.random() < 0.75 else ""
        wall = WALLS[int(rng.integers(len(WALLS)))]
        height = float(rng.choice(np.array([7.2, 10.3, 13.4])))
        houses.append(House(left, width, height, front, wall, shop, int(rng.integers(1 << 30))))
        left += width
        if gap and abs(left - gap[0]) < 1e-6:
            left = gap[1]
    return tuple(houses)


@lru_cache(maxsize=32)
def make_layout(seed: int, number: int) -> Layout:
    """Camera `number` of the demo town `seed`; the kinds of place take turns."""
    rng = np.random.default_rng([seed, 71, number])
    kind = ("street", "square", "avenue", "forecourt")[number % 4]
    near, road, walk, yaw, height, pitch = {
        "street": (9.8, 6.4, 3.6, rng.uniform(-0.3, 0.3), 4.2, 0.26),
        "square": (11.4, 6.4, 3.4, rng.uniform(-0.35, 0.35), 4.5, 0.27),
        "avenue": (9.0, 6.8, 3.8, rng.choice(np.array([-1.0, 1.0])) * rng.uniform(0.5, 0.65), 4.2, 0.25),
        "forecourt": (6.2, 5.4, 5.5, rng.uniform(-0.25, 0.25), 4.6, 0.29),
    }[kind]
    near_edge = near + float(rng.uniform(-0.4, 0.6))
    far_edge = near_edge + road
    front = far_edge + walk + float(rng.uniform(0, 0.6))
    camera = Camera(
        height + float(rng.uniform(-0.2, 0.3)),
        pitch + float(rng.uniform(-0.02, 0.03)),
        float(yaw),
        float(rng.uniform(800, 880)) * (1.2 if kind == "forecourt" else 1.0),  # that one looks on from farther away
    )
    gap_left = float(np.tan(yaw) * front + rng.uniform(-9, 5))
    gap = (gap_left, gap_left + 6.5) if kind in ("street", "square") and rng.random() < 0.7 else None
    centre = float(np.tan(yaw) * near_edge)
    lamps = [(float(x), near_edge - 0.5) for x in np.arange(centre - 22, centre + 45, 11) + rng.uniform(2, 9)]
    lamps = lamps if kind != "forecourt" else []
    lamps += [(float(x), far_edge + 0.6) for x in np.arange(centre - 27, centre + 60, 13) + rng.uniform(-2, 2)]
    tree_z = far_edge + 1.0 if kind != "forecourt" else front - 1.2
    trees = [
        (float(x), tree_z, float(rng.uniform(4.8, 6.5)))
        for x in np.arange(centre - 25, centre + 50, 7.5) + rng.uniform(-2, 2)
        if rng.random() < 0.6
    ]
    if kind == "square":
        trees += [(float(centre + side), near_edge - 1.5, float(rng.uniform(5.0, 6.0))) for side in (-9.5, 9.0)]
    if gap:
        trees = [tree for tree in trees if not gap[0] - 1 < tree[0] < gap[1] + 1]
    bench_z = near_edge - 1.3 if kind != "forecourt" else far_edge + 1.6
    benches = tuple((float(centre * bench_z / near_edge + x), bench_z) for x in rng.uniform(-4, 4, 1))
    bins = ((benches[0][0] + 1.9, bench_z + 0.1),)
    paving = PAVINGS[int(rng.integers(len(PAVINGS)))]
    return Layout(
        kind,
        number,
        camera,
        near_edge,
        far_edge,
        front,
        gap,
        centre + float(rng.uniform(-7, 7)),
        _houses(rng, front, gap),
        tuple(lamps),
        tuple(trees),
        benches,
        bins,
        paving,
        float(rng.choice(np.array([0.5, 0.8, 1.2]))),
    )
