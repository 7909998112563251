"""A shipped model's card: what `refinevad bench ship` measured of it, read back and said in words.

Every figure of a card was written by that command; what a person wrote of the data stands in recipes/shipped/.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refinevad.budget import vouching
from refinevad.files.json_files import read_own
from refinevad.files.whole import sha256_file
from refinevad.shipped.names import CARD

SCHEMA_VERSION = 1
WEIGHTS = "model.safetensors"
_DAMAGED = "install refinevad again"


@dataclass(frozen=True)
class Card:
    """What is known of a model that ships.

    Attributes:
        content: the card as `refinevad bench ship` wrote it (docs/formats.md, Model cards).
        folder: the RUN folder that it lies in.
    """

    content: Mapping[str, Any]
    folder: Path

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """Raises InputError where the card is missing or damaged."""
        checks = {
            "schema_version": lambda value: value == SCHEMA_VERSION,
            "name": lambda value: isinstance(value, str),
            **{name: lambda value: isinstance(value, dict) for name in ("data", "weights", "made_by", "held_out")},
            **{name: lambda value: isinstance(value, list) for name in ("elsewhere", "quiet", "not_measured")},
        }
        return cls(read_own(folder / CARD, checks, _DAMAGED), folder)

    @property
    def name(self) -> str:
        """What stands after --model."""
        return str(self.content["name"])

    @property
    def intact(self) -> bool:
        """Whether the weights are those that the card speaks of, by their SHA-256."""
        return bool(sha256_file(self.folder / WEIGHTS) == self.content["weights"]["sha256"])

    @property
    def sentence(self) -> str:
        """Which model speaks and how sure it may be, in one line."""
        data, held, quiet = self.content["data"], self.content["held_out"], self.content["quiet"]
        auc, found = _figure(held, "auc"), f"{held['events_found']:.0%} of {held['event_noun']}"
        rates = " and ".join(f"{_rate(row)} an hour on {_hours(row)} of {row['what']}" for row in quiet[:2])
        return (
            f"model {self.name}, which ships with refinevad and has never seen this camera: trained on "
            f"{data['videos']} videos ({data['hours']:.1f} h) of {data['short']}; on cameras held out frame AUC {auc}, "
            f"and its threshold finds {found}; false alerts: {rates}; "
            f"'refinevad models {self.name}' says where it fails"
        )

    def lines(self) -> Iterator[str]:
        """The whole card as a person reads it."""
        content, data = self.content, self.content["data"]
        yield f"{self.name}: {content['title']}"
        yield ""
        yield f"trained on    {data['name']}, {data['videos']} videos ({data['normal']} normal), {data['hours']:.2f} h"
        yield f"licence       {data['licence']}; {data['source']}"
        yield f"cameras       {data['cameras']}"
        yield f"looks at      {content['inputs_why']}"
        calibration = content["calibration"]
        vouched = "vouched for" if calibration["certified"] else "not vouched for"
        yield (
            f"threshold     {calibration['threshold']:.4f}, for {calibration['alerts_per_hour']:g} alerts an hour "
            f"({vouched} by {calibration['normal_hours']:.2f} h of normal video)"
        )
        yield f"              {vouching(calibration['normal_hours'])}"
        yield ""
        yield from self._figures()
        yield ""
        yield "where it fails, or was never tried:"
        yield from (f"  - {sentence}" for sentence in content["not_measured"])
        yield ""
        weights, made = content["weights"], content["made_by"]
        versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
        yield f"weights       {weights['bytes']:,} bytes, SHA-256 {weights['sha256']}"
        yield f"made by       {made['command']}"
        yield f"              gives the same bytes on {made['processor']} with {versions}"

    def _figures(self) -> Iterator[str]:
        held = self.content["held_out"]
        yield f"on {held['what']} ({held['videos']} videos; 95 % intervals over videos):"
        for name, words in (
            ("auc", "frame AUC"),
            ("ap", "frame AP"),
            ("video_auc", "video AUC"),
            ("within_auc", "AUC within videos"),
            ("event_f1", "event F1 at the threshold"),
        ):
            yield f"  {words:26} {_figure(held, name)}"
        yield f"  {'events found by it':26} {held['events_found']:.0%}"
        for point in held["operating"]:
            yield (
                f"  {'--threshold':>20} {point['threshold']:.4f} would find {point['found']:.0%} at "
                f"{point['false_per_hour']:.1f} false alerts an hour"
            )
        for name, row in held["controls"].items():
            yield f"  {f'control: {name}':26} frame AUC {_figure(row, 'auc')}; model ahead by {_ahead(row)}"
        yield f"  {held['note']}"
        yield "on other anomalies, which it was not trained for:"
        for row in self.content["elsewhere"]:
            yield f"  {row['what']}: frame AUC {_figure(row, 'auc')}, within videos {_figure(row, 'within_auc')}"
        yield "false alerts on normal footage, at the threshold as it ships:"
        for row in self.content["quiet"]:
            yield (
                f"  {row['what']}: {_rate(row)} an hour ({row['alerts']} in {_hours(row)} of {row['videos']} videos, "
                f"{row['cameras']})"
            )


def table_rows(cards: Sequence[Card]) -> list[tuple[str, ...]]:
    """A row a model: name, what it finds, data, licence, hours, frame AUC, size."""
    head = ("model", "finds", "trained on", "licence", "hours", "frame AUC held out", "bytes")
    rows = [
        (
            card.name,
            ", ".join(card.content["categories"]),
            str(card.content["data"]["name"]),
            str(card.content["data"]["licence"]),
            f"{card.content['data']['hours']:.2f}",
            _figure(card.content["held_out"], "auc"),
            f"{card.content['weights']['bytes']:,}",
        )
        for card in cards
    ]
    return [head, *rows]


def _figure(row: Mapping[str, Any], name: str) -> str:
    value, bounds = row[name], row.get(f"{name}_ci95")
    if value is None:
        return "undefined"
    return f"{value:.3f}" if bounds is None else f"{value:.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]"


def _ahead(row: Mapping[str, Any]) -> str:
    gap = row["model_minus_control"]
    return "undefined" if gap is None else f"{gap['mean']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]"


def _rate(row: Mapping[str, Any]) -> str:
    low, high = row["per_hour_ci95"]
    return f"{row['per_hour']:.1f} [{low:.1f}, {high:.1f}]"


def _hours(row: Mapping[str, Any]) -> str:
    return f"{row['hours'] * 60:.0f} min"
