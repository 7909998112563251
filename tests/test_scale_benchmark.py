"""docs/scale.md: its tables are the script's, its sources say what is quoted, and its arithmetic is that by hand."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BY_HAND = """
--cameras 2 --fps 10 --measured-fps 20 --decode-ms 90 --encode-ms 5 --busy 0.5 --core-hour 0.1
--node-cores 1 --segment-s 0.5 --mbit-s 8 --events-day 4 --clip-s 25 --events-days 10
--scores-mb-day 5 --scores-days 100 --recordings-days 2 --gb-month 0.5 --scoring-cameras 1
--gpu-decoders 2 --gpu-decoder-fps 100 --gpu-hour 2 --features-mb-hour 100 --currency EUR
--picture-gflop 0.9 --head-mflop-segment 100 --gpu-tflops 1 --gpu-used 0.5
"""


@pytest.fixture(scope="module")
def scale() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "scale.py"))


def test_the_page_holds_the_tables(scale: dict[str, Any]) -> None:
    page = (DOCS / "scale.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"<!-- scale: (\w+) -->\n(.*?)\n<!-- end of scale -->", page, flags=re.DOTALL))
    given = scale["Inputs"]()
    assert found == {name: scale["as_markdown"](make(given)) for name, make in scale["TABLES"].items()}


def test_every_input_has_a_source_that_says_so(scale: dict[str, Any]) -> None:
    given = scale["Inputs"]()
    assert set(scale["SOURCES"]) == set(vars(given))
    for name, source in scale["SOURCES"].items():
        assert source.kind in ("measured", "published", "default", "assumed"), name
        assert (source.kind in ("measured", "default")) <= bool(source.page), name
        if source.page:
            assert source.words, name
            assert source.words in (DOCS / source.page).read_text(encoding="utf-8"), name


def test_the_arithmetic_by_hand(scale: dict[str, Any]) -> None:
    """Two cameras of 10 frames a second at round rates."""
    given, only = scale["read"](BY_HAND.split())
    assert not only
    # 48 h x 0.050 CPU = 2.4 h, paid twice: 4.8 h at 0.1; 2.4 / 24 / 0.5 = 0.2 of a node
    # decoding: 48 h x 10 / 200 = 2.4 h; sums: 345,600 segments x 1 GFLOP / 0.5 TFLOP/s = 691 s = 0.19 h
    assert scale["work_table"](given)[1] == (
        *("2 camera-days", "48", "2.4", "1", "0.48", "2.4", "2.4", "0.19", "4.8"),
        "4.8",  # 48 h x 100 MB
    )
    # rows: 2 x 172,800; scores 2 x 5 MB x 100; clips 2 x 4 x 25 s x 1 MB/s; recordings 2 x 86,400 s x 1 MB/s
    # kept: 1 + 2 + 345.6 GB at 0.5
    assert scale["kept_table"](given)[1] == ("2", "16", "345,600", "4", "1", "0.2", "2", "173", "346", "174")
    assert scale["hosts_table"](given)[1] == ("2", "0.1", "1", "2", "2", "the scoring thread")


@pytest.mark.parametrize("words", [["--fps", "0"], ["--cameras", "0"], ["--busy", "nan"], ["--gpu-used", "-1"]])
def test_what_is_no_amount_is_refused(
    scale: dict[str, Any], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        scale["read"](words)
    assert f"{words[0]} must be above 0" in capsys.readouterr().err
