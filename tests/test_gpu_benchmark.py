"""benchmarks/gpu.py: every row runs on a CPU at tiny sizes, with little installed too; without CUDA it says so."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from patience import patience

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
BARE = ("jaxtyping", "safetensors", "safetensors.numpy", "safetensors.torch", "tqdm", "transformers")


def run(*arguments: str, without: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    program = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({without!r}))  # as if they were not installed
sys.path.insert(0, {str(SCRIPT.parent)!r})
sys.argv = ["gpu.py", *{arguments!r}]
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=patience(200))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(out: str) -> list[list[str]]:
    return [cells(line) for line in out.splitlines() if line.startswith("|")]


def test_every_row_runs_on_a_cpu() -> None:
    pytest.importorskip("transformers", reason="the extra `clip` is not installed")
    done = run("--tiny", "--device", "cpu", "--no-compile")
    assert done.returncode == 0, done.stderr
    head, _, *rows = table(done.stdout)
    assert all(len(row) == len(head) for row in rows)
    assert [row[0].split(",")[0] for row in rows] == [
        *["matrix product"] * 2,
        *["CLIP ViT-L/14"] * 2,
        *["CLIP"] * 2,
        "pixels to scores",
        *["head"] * 2,
        *["training step", "training"] * 2,
    ]
    assert all(float(row[head.index("ms")].replace(",", "")) > 0 for row in rows)


def test_it_runs_with_torch_and_numpy_alone() -> None:
    done = run("--tiny", "--device", "cpu", "--no-compile", without=BARE)
    assert done.returncode == 0, done.stderr
    rows = table(done.stdout)[2:]
    assert [row[0] for row in rows if "not run" in row[2]] == ["CLIP ViT-L/14, end to end"]
    assert sum(row[0] == "head" for row in rows) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    done = run()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["gpu.py: there is no device cuda: this machine has 0 for CUDA; use cpu"]
