"""How long to wait before another attempt: longer each time, bounded, and never for two at the same moment."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


def backoff_s(failures: int, chance: float, longest_s: float = LONGEST_PAUSE_S) -> float:
    """Pause after so many failures in a row: 1 s, 2 s, 4 s ...; `chance` in [0, 1) takes up to half of it away."""
    longest = min(longest_s, FIRST_PAUSE_S * 2.0 ** min(max(failures - 1, 0), 30))
    return longest * (1.0 - 0.5 * chance)
