"""Room on the disks that live work writes to. The last of it is for events, not for their pictures."""

import os
from pathlib import Path

RESERVE_MB = 200.0  # below so much free space no clips and snapshots are written
_MEGABYTE = 1_000_000


def free_mb(place: Path) -> float | None:
    """Megabytes that this user can still write where `place` lies or is to lie; None where nobody can tell."""
    for known in (place, *place.absolute().parents):
        try:
            facts = os.statvfs(known)
        except OSError:
            continue
        return facts.f_bavail * facts.f_frsize / _MEGABYTE
    return None


def too_full(place: Path, reserve_mb: float) -> str:
    """Why no pictures are to be written there, in one sentence; empty where they are."""
    free = free_mb(place)
    if free is None or free >= reserve_mb:
        return ""
    return f"{free:.0f} MB are free for clips: below {reserve_mb:g} MB events go on without clips and snapshots"


def read_only(place: Path) -> bool:
    """Whether the file system there takes nothing."""
    try:
        return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    except OSError:
        return False
