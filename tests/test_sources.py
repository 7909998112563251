"""Which videos belong together: a column, shared recordings, and tables that cannot be read."""

from pathlib import Path

import pytest

from refinevad.datasets.sources import Groups, read_groups
from refinevad.errors import InputError

VIDEOS = [f"test/x/v{place}.mp4" for place in range(24)]


def write(path: Path, header: str, *rows: str) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_a_source_column_groups_videos(tmp_path: Path) -> None:
    rows = [f"{name},x,test,cam {place // 2}" for place, name in enumerate(VIDEOS[:23])]
    write(tmp_path / "videos.csv", "path,labels,split,source", *rows, f"{VIDEOS[23]},x,test,")
    groups = read_groups(tmp_path, VIDEOS)
    assert groups.unit == "source"
    assert groups.of == {name: f"cam {place // 2}" for place, name in enumerate(VIDEOS[:23])}
    assert groups.note == ""


def test_few_sources_are_said(tmp_path: Path) -> None:
    write(tmp_path / "videos.csv", "path,labels,split,source", f"{VIDEOS[0]},x,test,a", f"{VIDEOS[1]},x,test,b")
    groups = read_groups(tmp_path, VIDEOS[:2])
    assert groups.of == {VIDEOS[0]: "a", VIDEOS[1]: "b"}
    assert "2 sources" in groups.note


def test_videos_that_share_a_recording_belong_together(tmp_path: Path) -> None:
    rows = [f"{name},0,1,own {place}" for place, name in enumerate(VIDEOS)]
    # v0 and v1 share a recording, v1 and v2 another: all three; v5 names one twice; v6 stands without suffix
    rows += [
        f"{VIDEOS[place]},1,2,{shared}" for place, shared in [(0, "p"), (1, "p"), (1, "q"), (2, "q"), (5, "own 5")]
    ]
    rows += ["test/x/v6,1,2,own 7"]
    write(tmp_path / "shots.csv", "path,start_s,end_s,source", *rows)
    groups = read_groups(tmp_path, VIDEOS)
    assert groups.of is not None
    together: dict[str, set[str]] = {}
    for name, group in groups.of.items():
        together.setdefault(group, set()).add(name)
    assert {frozenset(names) for names in together.values() if len(names) > 1} == {
        frozenset(VIDEOS[:3]),
        frozenset(VIDEOS[6:8]),
    }
    assert len(together) == 24 - 2 - 1
    # the column of videos.csv goes before
    write(tmp_path / "videos.csv", "path,labels,split,source", *(f"{name},x,test,{name}" for name in VIDEOS))
    assert len(set((read_groups(tmp_path, VIDEOS).of or {}).values())) == 24


def test_shots_of_one_source_each_group_however_few(tmp_path: Path) -> None:
    rows = [f"{name},0,1,actor {place % 2}" for place, name in enumerate(VIDEOS)]
    write(tmp_path / "shots.csv", "path,start_s,end_s,source", *rows)
    assert set((read_groups(tmp_path, VIDEOS).of or {}).values()) == {"actor 0", "actor 1"}


def test_recordings_that_tie_nearly_all_videos_together_leave_them_apart(data_root: Path) -> None:
    names = [f"test/{kind}/v{place:03}.mp4" for kind in ("normal", "shoplifting") for place in range(1, 21)]
    groups = read_groups(data_root / "shoplifting", names)
    assert groups.of is None
    assert groups.unit == "video"
    assert "only 2 groups" in groups.note


@pytest.mark.parametrize("columns", ["path,labels,split", "video,source"])
def test_no_source_no_groups(tmp_path: Path, columns: str) -> None:
    assert read_groups(tmp_path, VIDEOS) == Groups()
    write(tmp_path / "videos.csv", columns, ",".join(["a"] * (columns.count(",") + 1)))
    assert read_groups(tmp_path, VIDEOS) == Groups()


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "videos.csv").write_bytes(b"path,source\n\xff\xfe,a\n")
    with pytest.raises(InputError, match=r"videos\.csv is not UTF-8"):
        read_groups(tmp_path, VIDEOS)


@pytest.mark.parametrize("name", ["", ".", "/", "a/.."])
def test_a_row_without_a_name_groups_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "shots.csv").write_text(f"path,source\n{name},x\na.mp4,y\n")
    assert read_groups(tmp_path, ["a.mp4"]).of == {"a.mp4": "y"}
