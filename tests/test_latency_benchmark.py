"""benchmarks/latency.py: where a machine saturates, as its table says."""

import runpy
from pathlib import Path

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "latency.py"))


def row(cameras: int, rate: int, dropped: str) -> tuple[str, ...]:
    return (str(cameras), str(rate), "", "", dropped, "", "", "", "", "")


def test_saturation_is_before_the_first_row_that_drops() -> None:
    rows = [row(1, 5, "0.0 %"), row(2, 5, "0.0 %"), row(4, 5, "3.5 %"), row(8, 5, "0.0 %")]
    rows += [row(1, 15, "0.0 %"), row(2, 15, "0.0 %"), row(1, 30, "9.0 %")]
    assert SCRIPT["saturation"](rows) == [
        "5 frames a second: 2 cameras borne, with 4 3.5 % dropped",
        "15 frames a second: 2 cameras borne, the most tried",
        "30 frames a second: no row borne, with 1 9.0 % dropped",
    ]


def test_the_film_has_its_pace(tmp_path: Path) -> None:
    import av

    film = SCRIPT["_film"](tmp_path / "film.mp4", 5, 3.0)
    with av.open(str(film)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == 15
    assert times[-1] == 14 / 5
