"""`python -m release.dist DIR`: the wheel, the same bytes from the same tree whenever, whoever builds it.

Dates come from SOURCE_DATE_EPOCH, or the last commit's; modes are set; nothing left from another build is in it, as it
is built from a copy of what belongs into it. Built twice and compared.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from release.pins import ROOT

FILES = ("pyproject.toml", "README.md", "LICENSE")
_EARLIEST = 315_619_200  # 1980-01-02: a ZIP archive knows nothing before


def build(target: Path, epoch: int, root: Path = ROOT) -> Path:
    """One wheel into `target`, its files dated `epoch` (Unix seconds). Needs setuptools, and no network."""
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="refinevad-dist-") as folder:
        tree = Path(folder) / "tree"
        leave = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
        shutil.copytree(root / "src", tree / "src", ignore=leave, copy_function=shutil.copyfile)
        for name in FILES:
            shutil.copyfile(root / name, tree / name)
        for path in [tree, *tree.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        made = Path(folder) / "wheel"
        words = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(max(epoch, _EARLIEST)), "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "pip", *words, "--wheel-dir", str(made), str(tree)]
        subprocess.run(command, check=True, env=environment, cwd=folder, umask=0o022)
        (wheel,) = made.glob("*.whl")
        return Path(shutil.copyfile(wheel, target / wheel.name))


def epoch_of_tree() -> int:
    """SOURCE_DATE_EPOCH, or when the last commit was made; without either the earliest there can be."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else _EARLIEST


def main() -> int:
    target, epoch = Path(sys.argv[1]), epoch_of_tree()
    wheel = build(target, epoch)
    with TemporaryDirectory() as folder:
        again = build(Path(folder), epoch)
        if again.read_bytes() != wheel.read_bytes():
            wheel.unlink()
            print("two builds of this tree differ; nothing is kept", file=sys.stderr)
            return 1
    print(wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
