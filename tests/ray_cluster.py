"""A Ray cluster of several nodes on this machine, for tests; sys.path of its processes is that of the tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent

# Ray reads these as it is imported
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on the loopback interface alone
os.environ["RAY_AUTH_MODE"] = "disabled"  # else it leaves a token in the home folder


@contextmanager
def cluster(*nodes: dict[str, Any], **head: Any) -> Iterator[Any]:
    """A head of so many CPUs (none by default), and the nodes behind it, as `ray.cluster_utils.Cluster` takes them."""
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(TESTS), before)))
    arguments = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 << 20, **head}
    started = Cluster(initialize_head=True, head_node_args=arguments)
    try:
        for node in nodes:
            started.add_node(**{"num_cpus": 1, "object_store_memory": 80 << 20, **node})
        started.wait_for_nodes()
        yield started
    finally:
        started.shutdown()
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
