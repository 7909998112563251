"""Audio features beside those of pictures."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from published_cases import features_of, imported, numbers, save
from refinevad.datasets.published import audio_rows


def test_audio_rows_by_hand() -> None:
    assert audio_rows(4, 4).tolist() == [0, 1, 2, 3]
    assert audio_rows(4, 2).tolist() == [0, 1, 1, 1]  # two missing at the end: the last is repeated
    assert audio_rows(3, 5).tolist() == [0, 1, 2]  # two too many: left out
    assert audio_rows(3, 9).tolist() == [1, 4, 7]  # another grid: the row at each segment's middle
    assert audio_rows(6, 2 + 1).tolist() == [0, 0, 1, 1, 2, 2]


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_audio_rows_exist_and_never_go_back(segments: int, rows: int) -> None:
    place = audio_rows(segments, rows)
    assert len(place) == segments
    assert place.min() >= 0
    assert place.max() < rows
    assert (np.diff(place) >= 0).all()
    if abs(segments - rows) > max(2, 0.02 * segments):
        middle = (np.arange(segments) + 0.5) / segments  # a segment's middle lies in its row, as shares of the video
        assert (place <= middle * rows + 1e-9).all()
        assert (middle * rows <= place + 1 + 1e-9).all()


def test_audio_stands_beside_the_picture(tmp_path: Path) -> None:
    """XD-Violence's own layout: RGB/ and RGBTest/, five crops, VGGish below train/ and test/."""
    names = {"train": ("a.1__#1_label_B1-0-0", "b__#1_label_A"), "test": ("c__#00-01_label_B2-G-0",)}
    picture, audio = {}, {}
    for folder, split in (("RGB", "train"), ("RGBTest", "test")):
        for place, name in enumerate(names[split]):
            picture[name] = numbers(place, 30, 4)
            for crop in range(5):
                save(tmp_path / "i3d" / folder / f"{name}__{crop}.npy", picture[name] + crop)
            audio[name] = save(tmp_path / "vggish" / split / f"{name}__vggish.npy", numbers(9 + place, 30 - place, 3))
    done = imported(tmp_path / "i3d", tmp_path, tmp_path / "out", "xd-violence", audio=tmp_path / "vggish")
    assert done.index.channels() == 7
    assert [(item.split, item.labels) for item in done.index.items] == [
        ("train", ("B1",)),
        ("train", ()),
        ("test", ("B2", "G")),
    ]
    assert "b__#1_label_A: 29 audio rows for 30 segments: the last row is repeated" in done.notes
    video = features_of(done.index, "train")["b__#1_label_A"]
    assert video.provenance.parts == {"visual": (0, 4), "audio": (4, 7)}
    values = video.crops[2].read()
    np.testing.assert_array_equal(values[:, :4], picture["b__#1_label_A"] + 2)
    np.testing.assert_array_equal(values[:29, 4:], audio["b__#1_label_A"])
    np.testing.assert_array_equal(values[29, 4:], audio["b__#1_label_A"][28])
    (tmp_path / "vggish/test/c__#00-01_label_B2-G-0__vggish.npy").unlink()
    done = imported(tmp_path / "i3d", tmp_path, tmp_path / "out", "xd-violence", audio=tmp_path / "vggish")
    assert "has no audio" in done.failed["test/c__#00-01_label_B2-G-0.npy"]
