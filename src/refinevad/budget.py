"""How many alerts are too many, and what so many hours of quiet footage can vouch for."""

import math

# The target of a run's threshold where nobody names one. People bear BUDGET_A_DAY a camera before they mute it, for
# which the minutes of validation video that most sets have cannot vouch. So a run's threshold is a beginning, and each
# camera learns its own of its own hours (apps/live/learning.py).
ALERTS_PER_HOUR = 6.0
BUDGET_A_DAY = 3.0
LEARN_HOURS = 24.0  # of a camera's own scores; they can vouch for one alert a day, and bear two


def vouched_per_hour(hours: float) -> float:
    """The lowest rate of alerts that so many hours without an event can vouch for: one in all of them."""
    return 1 / hours if hours > 0 else math.inf


def vouching(hours: float) -> str:
    """The same as a sentence."""
    if not hours > 0:
        return "there is no quiet footage, so that no rate of alerts is vouched for"
    lowest, budget = vouched_per_hour(hours), BUDGET_A_DAY / 24
    rate = f"{lowest:.3g} an hour" if lowest >= 1 else f"{24 * lowest:.3g} a day"
    footage = f"{60 * hours:.0f} minutes" if hours < 1.5 else f"{hours:.3g} hours"
    told = f"the lowest rate that {footage} of quiet footage can vouch for is {rate}"
    return told if lowest <= budget else f"{told}; {BUDGET_A_DAY:g} a day take {1 / budget:g} hours"
