"""benchmarks/pixels.py on a second of drawn film: its tables are whole, and its ratios those of the times."""

import argparse
import runpy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SIZE = (192, 112)


@pytest.fixture(scope="module")
def script() -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield runpy.run_path(str(BENCHMARKS / "pixels.py"))


@pytest.fixture(scope="module")
def films(script: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], Path]:
    path = tmp_path_factory.mktemp("films") / "drawn.mp4"
    return {SIZE: script["film"](path, SIZE, 1, Path("no data here"))}


@pytest.fixture
def arguments() -> argparse.Namespace:
    return argparse.Namespace(seconds=1, rounds=1, videos=1)


def test_a_film_has_its_size_and_length_and_moves(script: dict[str, Any], films: dict[tuple[int, int], Path]) -> None:
    import av

    with av.open(str(films[SIZE])) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(frames) == 25
    assert frames[0].shape == (112, 192)
    assert np.abs(frames[0].astype(int) - frames[10]).mean() > 2
    assert script["decode"](films[SIZE]) == 25
    assert script["decode"](films[SIZE], "AUTO") == 25
    assert script["decode"](films[SIZE], skip="NONREF") < 25
    needs = script["LiteEncoder"]().needs
    assert script["decoded"](films[SIZE], needs, every_frame=True) == 25
    assert 13 <= script["decoded"](films[SIZE], needs) < 25  # every second one is needed


def test_footage_is_one_camera_or_nine(script: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras of 16 x 9 pixels that show their own number: as large as asked, or side by side in three rows."""
    footage = script["film"].__globals__["footage"]
    cameras = [np.full((9, 16, 3), number, np.uint8) for number in range(9)]
    monkeypatch.setitem(footage.__globals__, "_endless", lambda sources: iter([cameras[sources[0]]] * 3))
    assert next(footage(range(9), (16, 9))).shape == (9, 16, 3)
    nine = next(footage(range(9), (40, 20)))
    assert nine.shape == (20, 40, 3)
    assert nine[::9, ::16, 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize("name", ["detect", "parts", "decode", "variants"])
def test_a_table_is_whole(
    name: str,
    script: dict[str, Any],
    films: dict[tuple[int, int], Path],
    arguments: argparse.Namespace,
) -> None:
    head, *rows = script["TABLES"][name](films, arguments)
    assert rows
    assert all(len(row) == len(head) for row in rows)
    lines = script["markdown"]([head, *rows]).splitlines()
    assert len(lines) == len(rows) + 2
    assert len({line.count("|") for line in lines}) == 1


def test_ratios_are_of_the_times(
    script: dict[str, Any],
    films: dict[tuple[int, int], Path],
    arguments: argparse.Namespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Decoding takes 0.2 s, with threads 0.1 s, everything else 0.4 s: half and a quarter of their rates."""

    def fixed(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Any]:
        make, walls = script["in_turn"].__globals__["Cost"], iter([0.2, 0.1])
        return {name: make(next(walls, 0.4), 0.5, 0.25) for name in ways}

    monkeypatch.setitem(script["detect_table"].__globals__, "in_turn", fixed)
    head, plain, auto, detect, *_ = script["detect_table"](films, arguments)
    columns = [head.index(name) for name in ("decoding / this", "decoding, AUTO / this", "x real time", "idle")]
    assert [plain[i] for i in columns] == ["1.00", "0.50", "5", "25%"]
    assert [auto[i] for i in columns] == ["2.00", "1.00", "10", "25%"]
    assert [detect[i] for i in columns] == ["0.50", "0.25", "2", "25%"]


def test_what_work_costs(script: dict[str, Any]) -> None:
    """A wait takes no CPU."""
    from time import sleep

    one = script["cost"](lambda: sleep(0.2))
    assert one.wall > 0.19
    assert one.cpu < one.wall


def test_the_work_of_children_counts_while_they_live(script: dict[str, Any]) -> None:
    from time import sleep

    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(pow, 2, 2).result()
        one = script["cost"](lambda: pool.submit(sum, range(30_000_000)).result())
        waiting = script["cost"](lambda: sleep(0.3))
    assert one.cpu > 0.2
    assert waiting.cpu < 0.1


def test_cosine_by_hand(script: dict[str, Any]) -> None:
    one = np.array([[3.0, 4.0], [1.0, 0.0]])
    other = np.array([[4.0, 3.0], [0.0, 2.0]])
    np.testing.assert_allclose(script["cosine"](one, other), [0.96, 0.0])
