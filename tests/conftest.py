"""Fixtures shared by all tests: where the real data lies, and one thread for reproducible figures."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

pytest_plugins = ["deadlines", "published_set", "servers", "service_house", "service_process", "small_disk"]

# what a shell starts by `&` ignores Ctrl-C, and so would every program that a test starts and interrupts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("project", deadline=None, max_examples=50, derandomize=True)
# `make mutants` asks whether a test fails, not for the smallest example
settings.register_profile("mutants", settings.get_profile("project"), phases=(Phase.explicit, Phase.generate))
settings.load_profile("project")

DATA = Path(os.environ.get("REFINEVAD_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real data sets; tests that need it are skipped where it is absent."""
    if not (DATA / "README.md").exists():
        pytest.skip(f"real data not found at {DATA} (set REFINEVAD_DATA)")
    return DATA


@pytest.fixture
def small_encoder() -> Iterator[None]:
    """`lite` opens the tests' small encoder."""
    from fakes import replaced

    with replaced():
        yield
