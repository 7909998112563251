"""Batches read from disk equal those of bags in memory, whatever reads ahead; nothing but a batch is copied."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import random_bags, random_labels
from refinevad.datasets.bag import Bag, Shortening, shorten
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.datasets.published import Crop, CropBag
from refinevad.errors import InputError
from refinevad.features.store import Features, Provenance, StoredFeatures, load_features, map_values, save_features
from refinevad.study.held_features import HeldFeatures
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.bags import Batch, collate
from refinevad.training.loading import StoredBag, kept_in_memory, read_batches

CPU = torch.device("cpu")
LENGTHS = [7, 40, 1, 256, 13, 90]
WAYS: tuple[Shortening, ...] = ("pool", "sample")


def save(path: Path, values: np.ndarray) -> Path:
    timeline = Timeline.uniform(len(values) * 16, 25.0, SegmentRule(frames=16))
    save_features(path, Features(values, timeline, Provenance({"name": "noise"}, {"frames": 16})))
    return path


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Bag], list[Bag], list[Bag]]:
    """The same videos in memory, in the feature store, and as published crops on the second axis of their files."""
    folder = tmp_path_factory.mktemp("set")
    # numbers that float16 holds: the store's rounding is another test's
    values = [bag.astype(np.float16).astype(np.float32) for bag in random_bags(LENGTHS, 5, 0)]
    labels = random_labels(len(values), 3, 0)
    held, own, crops = [], [], []
    for place, (video, label) in enumerate(zip(values, labels, strict=True)):
        held.append(Bag(video, label))
        own.append(StoredBag(save(folder / f"{place}.safetensors", video), label))
        np.save(folder / f"{place}.npy", np.stack([video + 1, video], axis=1))
        crops.append(CropBag(Crop(folder / f"{place}.npy", 1, len(video), None), label))
    return held, own, crops


def assert_same(one: Batch, other: Batch) -> None:
    assert torch.equal(one.values, other.values)
    assert torch.equal(one.mask, other.mask)
    assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("limit", [1, 6, 64, 256])
def test_stored_bags_make_the_batches_of_bags_in_memory(
    stored: tuple[list[Bag], list[Bag], list[Bag]], how: Shortening, limit: int
) -> None:
    held, own, crops = stored
    order = [[0, 3], [5, 4, 3], [1], [2, 2]]
    expected = [collate([held[i] for i in indices], limit, how) for indices in order]
    for bags in (held, own, crops):
        found = list(read_batches(bags, order, limit, how, CPU))
        assert len(found) == len(order)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("room", [0, 500, 10**6])
@pytest.mark.parametrize("limit", [1, 6, 256])
def test_bags_kept_in_memory_are_the_same_bags(
    stored: tuple[list[Bag], list[Bag], list[Bag]], how: Shortening, room: int, limit: int
) -> None:
    """Whatever fits and in whichever way they were asked for before."""
    held, own, crops = stored
    order = [[0, 3], [5, 4, 3], [1], [2, 2], [3, 0, 5]]
    expected = [collate([held[i] for i in indices], limit, how) for indices in order]
    for bags in (held, own, crops):
        kept = kept_in_memory(bags, limit, how, room)
        for bag, plain in zip(kept, bags, strict=True):
            whole = bag.shortened(plain.segments, "sample")
            np.testing.assert_array_equal(whole, plain.values)
            assert (bag.identity(), bag.segments) == (plain.identity(), plain.segments)
            np.testing.assert_array_equal(bag.values, plain.values)
            np.testing.assert_array_equal(bag.labels, plain.labels)
        for _ in range(2):
            for one, other in zip(read_batches(kept, order, limit, how, CPU), expected, strict=True):
                assert_same(one, other)


def test_a_set_is_read_once_and_no_more_is_kept_than_has_room(tmp_path: Path) -> None:
    """Of three videos of 10 x 4 float16, 80 bytes each, two have room; longer ones are kept as they are shortened."""
    files = [save(tmp_path / f"{name}.safetensors", random_bags([10], 4, 1)[0]) for name in "abc"]
    nothing = np.zeros(1, dtype=np.float32)
    bags = kept_in_memory([StoredBag(path, nothing) for path in files], 64, "pool", room=200)
    first = list(read_batches(bags, [[0, 1, 2]], 64, "pool", CPU))
    files[0].unlink()
    files[1].unlink()
    assert_same(*first, *read_batches(bags, [[0, 1, 2]], 64, "pool", CPU))
    files[2].unlink()
    with pytest.raises(InputError, match=r"c\.safetensors"):
        list(read_batches(bags, [[0, 1, 2]], 64, "pool", CPU))
    long = save(tmp_path / "d.safetensors", random_bags([1000], 4, 1)[0])
    (bag,) = kept_in_memory([StoredBag(long, nothing)], 5, "pool", room=200)  # 5 x 4 float32 are 80 bytes
    kept = bag.shortened(5, "pool")
    assert not isinstance(kept, np.memmap)
    long.unlink()
    np.testing.assert_array_equal(bag.shortened(5, "pool"), kept)
    with pytest.raises(InputError, match=r"d\.safetensors"):
        bag.shortened(6, "pool")


def test_a_stored_bag_is_the_same_bag(stored: tuple[list[Bag], list[Bag], list[Bag]]) -> None:
    """A run that was stopped while its set was in memory goes on from disk."""
    held, own, _ = stored
    for one, other in zip(held, own, strict=True):
        assert one.identity() == other.identity()
        np.testing.assert_array_equal(one.values, other.values)


@given(
    st.integers(1, 300), st.integers(1, 64), st.sampled_from([np.float16, np.float32, np.float64]), st.integers(0, 9)
)
def test_pooling_equals_reduceat_to_the_bit(segments: int, limit: int, kind: type, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.0, 30.0, (segments, 3)).astype(kind)
    if segments <= limit:
        return
    bounds = np.linspace(0, segments, limit + 1).astype(np.int64)
    sums = np.add.reduceat(values.astype(np.float64), bounds[:-1], axis=0)
    expected = (sums / np.diff(bounds)[:, None]).astype(np.float32)
    np.testing.assert_array_equal(shorten(values, limit, "pool"), expected)


def test_values_are_mapped_where_they_lie(tmp_path: Path) -> None:
    small, large = random_bags([9], 4, 1)[0], np.full((3, 4), 7e4, dtype=np.float32)  # beyond float16
    for values, kind in ((small, np.float16), (large, np.float32)):
        path = save(tmp_path / "v.safetensors", values)
        mapped = map_values(path)
        assert isinstance(mapped, np.memmap)
        assert mapped.dtype == kind
        np.testing.assert_array_equal(mapped.astype(np.float32), load_features(path).values)


def test_stored_features_are_the_loaded_ones(tmp_path: Path) -> None:
    path = save(tmp_path / "v.safetensors", random_bags([9], 4, 1)[0])
    unread, read = StoredFeatures(path), load_features(path)
    assert "values" not in vars(unread)
    np.testing.assert_array_equal(unread.values, read.values)
    assert unread.provenance == read.provenance
    np.testing.assert_array_equal(unread.timeline.time_bounds, read.timeline.time_bounds)


def test_a_set_held_in_memory_stays_there(tmp_path: Path) -> None:
    """Tables that train many models read their features once."""
    item = Item("v.mp4", (), "train")
    save(tmp_path / "v.safetensors", random_bags([9], 4, 1)[0])
    index = FeatureIndex(tmp_path, [item], "noise", "")
    assert isinstance(index.stored([item])[0], StoredFeatures)
    held = HeldFeatures.of(index)
    assert held.stored([item])[0].values is held.stored([item])[0].values


def test_what_is_not_finite_is_found_when_it_is_read(tmp_path: Path) -> None:
    values = random_bags([20], 4, 1)[0]
    values[13, 2] = np.nan
    bag = StoredBag(save(tmp_path / "v.safetensors", values), np.zeros(1, dtype=np.float32))
    np.save(tmp_path / "v.npy", values)
    crop = CropBag(Crop(tmp_path / "v.npy", None, 20, None), bag.labels)
    for one in (bag, crop):
        with pytest.raises(InputError, match=r"1 of 20 segments \(first: segment 13\)"):
            list(read_batches([one], [[0]], 4, "pool", CPU))


@pytest.mark.parametrize("damage", ["cut", "empty", "no header", "gone"])
def test_damaged_files_are_input_errors(tmp_path: Path, damage: str) -> None:
    path = save(tmp_path / "v.safetensors", random_bags([9], 4, 1)[0])
    content = path.read_bytes()
    left = {"cut": content[:-200], "empty": b"", "no header": b"\xff" * 40}
    path.unlink() if damage == "gone" else path.write_bytes(left[damage])
    with pytest.raises(InputError, match=r"v\.safetensors"):
        map_values(path)


def test_batches_are_read_ahead_on_another_thread_and_only_one_at_a_time() -> None:
    read: list[int] = []
    threads: set[str] = set()

    class Watched(Bag):
        def shortened(self, limit: int, how: Shortening) -> np.ndarray:
            read.append(len(read))
            threads.add(threading.current_thread().name)
            return self.values

    bag = Watched(np.zeros((2, 3), dtype=np.float32), np.zeros(1, dtype=np.float32))
    batches = read_batches([bag], [[0]] * 6, 4, "pool", CPU)
    for number, _ in enumerate(batches):
        assert len(read) <= number + 2  # the batch in use and the next one
        if number == 3:
            break
    batches.close()  # type: ignore[attr-defined]  # an iterator that is a generator
    assert len(read) <= 5
    assert threading.current_thread().name not in threads


def test_readers_leave_the_cores_to_the_step() -> None:
    threads: list[int] = []

    class Watched(Bag):
        def shortened(self, limit: int, how: Shortening) -> np.ndarray:
            threads.append(torch.get_num_threads())
            return self.values

    bag = Watched(np.zeros((2, 3), dtype=np.float32), np.zeros(1, dtype=np.float32))
    torch.set_num_threads(2)
    try:
        list(read_batches([bag], [[0]] * 3, 4, "pool", CPU))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert set(threads) == {1}
