"""What the service is told at its start."""

from dataclasses import dataclass
from pathlib import Path

from refinevad.apps.live.tokens import TokenHash


@dataclass(frozen=True)
class ServiceSettings:
    """Limits and places.

    Attributes:
        data: folder for what the service itself keeps: cameras added in the browser, moved thresholds.
        token: what requests must present; None: only this machine can reach it, and only by a loopback name.
        runs: folder whose RUN folders the model may be swapped for; None: no swapping.
        roots: folders from which a file may be added as a camera; none: streams only.
        upload_bytes, upload_s: largest and longest file taken for analysis.
        probe_s: how long looking at an uploaded file may take before it is killed.
        analysis_share, analysis_least_s: an analysis may take so many times the video's length, and so long besides.
        waiting_jobs: uploads that may wait at a time.
        heartbeat_s: a silent websocket gets a sign of life so often.
        session_s: how long a login lasts.
    """

    data: Path
    token: TokenHash | None = None
    runs: Path | None = None
    roots: tuple[Path, ...] = ()
    upload_bytes: int = 2_000_000_000
    upload_s: float = 4 * 3600.0
    probe_s: float = 20.0
    analysis_share: float = 10.0
    analysis_least_s: float = 300.0
    waiting_jobs: int = 20
    heartbeat_s: float = 15.0
    session_s: float = 7 * 86_400.0
