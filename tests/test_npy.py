"""Published feature files: arrays of numbers, read in place and never unpickled."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from published_cases import numbers, save
from refinevad.datasets.benchmarks import read_shanghaitech_split
from refinevad.datasets.npy import open_npy
from refinevad.errors import InputError
from refinevad.judging.official_truth import official_truth


class Payload:
    """Would make a file if anyone unpickled it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.target),)


def test_python_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([Payload(tmp_path / "ran")], dtype=object))
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(InputError, match="holds Python objects, which could run code"):
        open_npy(tmp_path / "objects.npy")
    with pytest.raises(InputError, match=r"is no whole \.npy file"):
        open_npy(tmp_path / "pickle.npy")
    assert not (tmp_path / "ran").exists()
    pickle.loads((tmp_path / "pickle.npy").read_bytes())  # the payload works
    assert (tmp_path / "ran").exists()


def test_files_that_hold_no_features(tmp_path: Path) -> None:
    save(tmp_path / "short.npy", numbers(0, 4, 3))
    (tmp_path / "short.npy").write_bytes((tmp_path / "short.npy").read_bytes()[:-4])
    save(tmp_path / "whole.npy", np.arange(6))
    save(tmp_path / "empty.npy", numbers(0, 0, 3))
    for name, sentence in (
        ("short.npy", "no whole"),
        ("whole.npy", "holds int64, features are floats"),
        ("empty.npy", "holds no segment"),
        ("absent.npy", "features not found"),
    ):
        with pytest.raises(InputError, match=sentence):
            open_npy(tmp_path / name)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9" + "0" * 20 + ",), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9" + "0" * 5000 + ",), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 4, }",
        "{'descr': '|S0', 'fortran_order': False, 'shape': (4,), }",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }",
        "{'descr': 1, 'fortran_order': False, 'shape': (4,), }",
        "(" * 200,
        "{'descr': '<f4'",
        "",
    ],
    ids=lambda text: text[:70],
)
def test_headers_that_do_not_fit_are_one_sentence(header: str, tmp_path: Path) -> None:
    head = header.encode().ljust(117) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(16))
    with pytest.raises(InputError, match=r"a\.npy"):
        open_npy(path)


def test_what_is_no_file_of_numbers_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")  # opening it would wait for a writer
    (tmp_path / "folder.npy").mkdir()
    for path in (tmp_path / "pipe.npy", tmp_path / "folder.npy", Path("/dev/zero"), tmp_path / ("a" * 5000)):
        with pytest.raises(InputError):
            open_npy(path)


@pytest.mark.parametrize("label", ["x", "1.0.0", "one 1"])
def test_a_label_that_is_no_number_is_one_sentence(label: str, tmp_path: Path) -> None:
    (tmp_path / "test.list").write_text(f"x/01_0014_0.npy 1\nx/01_0015_0.npy {label}\n")
    with pytest.raises(InputError, match=r"test\.list, line 2: the label must be a number"):
        read_shanghaitech_split(tmp_path / "test.list")


@pytest.mark.parametrize(
    "values",
    [np.zeros((4, 2)), np.array([0.5, 1.0]), np.array(["0", "1"]), np.array([0, 1j]), np.zeros(2, [("a", "<f4")])],
    ids=str,
)
def test_an_array_of_no_frame_labels_is_one_sentence(values: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "sh-gt.npy", values)
    with pytest.raises(InputError, match=r"sh-gt\.npy must hold one 0 or 1 a frame"):
        official_truth(tmp_path, {"01_0014": 2})
