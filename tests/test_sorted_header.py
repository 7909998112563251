"""safetensors files whose bytes follow from what is in them."""

from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from refinevad.files.sorted_header import sort_metadata


def test_the_same_content_is_the_same_bytes_and_still_itself(tmp_path: Path) -> None:
    """With five keys the library would write the same order 20 times in a row once in 120^19."""
    metadata = {'zé"\\/\x01\x7f': "ü\n", "a": '{"q":1}', "m": "x", "k": "", "b": "2"}
    arrays = {"b": np.arange(3.0), "aé": np.ones((2, 2), dtype=np.float16)}
    path, seen = tmp_path / "x.safetensors", set()
    for _ in range(20):
        save_file(arrays, path, metadata=metadata)
        sort_metadata(path)
        seen.add(path.read_bytes())
    assert len(seen) == 1
    with safe_open(path, "np") as file:
        assert file.metadata() == metadata
    loaded = load_file(path)
    assert all((loaded[name] == values).all() and loaded[name].dtype == values.dtype for name, values in arrays.items())


def test_no_metadata_or_one_key_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for metadata in (None, {"only": "one"}):
        save_file({"b": np.arange(3.0)}, path, metadata=metadata)
        before = path.read_bytes()
        sort_metadata(path)
        assert path.read_bytes() == before
