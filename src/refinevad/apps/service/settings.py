"""What the service is told at its start."""

from dataclasses import dataclass, field
from pathlib import Path

from refinevad.apps.live.clock import DAY_S
from refinevad.apps.service.access_token import TokenHash
from refinevad.apps.service.connections import ConnectionLimits


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
        incoming: uploads that may be on their way at a time.
        upload_idle_s: an upload of which nothing comes for so long is given up.
        uploads_bytes: room for uploaded files; for a new one the oldest that are analysed go.
        upload_pixels: largest picture, width times height.
        upload_work: pixels of all pictures together, by the length and the rate that the file states.
        analyses: how many files are analysed at a time.
        learn: whether cameras learn their thresholds of their own hours.
        connections: how many there may be, and how long each may wait.
        proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
        audit_days, audit_entries: how long, and how many entries, the record of changes is kept.
        login: whether somebody must log in whatever is found later: there were users when the service started.
        user_header: header in which a proxy of `proxies` names who is logged in there; empty: none does.
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
    incoming: int = 4
    upload_idle_s: float = 30.0
    uploads_bytes: int = 20_000_000_000
    upload_pixels: int = 4096 * 2304
    upload_work: float = 1e12
    analyses: int = 1
    learn: bool = True
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    proxies: tuple[str, ...] = ()
    audit_days: float = 365.0
    audit_entries: int = 100_000
    login: bool = False
    user_header: str = ""
    heartbeat_s: float = 15.0
    session_s: float = 7 * DAY_S
