"""A RUN folder: weights, configuration, what made the features, calibration. Safetensors and JSON, never pickle.

RUN/model.safetensors   weights
RUN/config.json         architecture, encoder, segment rule, training options, seed, versions
RUN/calibration.json    thresholds for the target alert rate
RUN/metrics.json        validation figures; after `refinevad evaluate` the test figures too
RUN/ridge.safetensors   the ridge control fitted on the same videos, its configuration in the header; not with a run
                        whose model it is, and not in runs that are older than it
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import refinevad
from refinevad.errors import InputError
from refinevad.files.json_files import check_regular
from refinevad.files.json_files import read_json as read_json  # where a RUN's other files are read, too
from refinevad.files.shown import short
from refinevad.files.sorted_header import sort_metadata
from refinevad.files.strict_json import parse_json
from refinevad.files.whole import atomic_write
from refinevad.model import RefineVAD
from refinevad.model_choice import open_config, open_model
from refinevad.ridge import LINEAR
from refinevad.run_folder import CALIBRATION as CALIBRATION
from refinevad.run_folder import CONFIG as CONFIG
from refinevad.run_folder import WEIGHTS as WEIGHTS
from refinevad.run_folder import k_divisor_of, load_model, read_run, window_of
from refinevad.scoring.events import Calibration as Calibration
from refinevad.scoring.windows import WindowRule
from refinevad.segment_model import SegmentModel
from refinevad.timeline import SegmentRule

METRICS = "metrics.json"
RIDGE_FILE, RIDGE_FORMAT = "ridge.safetensors", "refinevad-ridge-1"
MOST_RIDGE_BYTES = 256 << 20
_DAMAGE = (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with all that is needed to use it on new features.

    Attributes:
        encoder: how the features were asked for on the command line, such as `lite`.
        signature: encoder identity and segment rule that features must match.
        training: options, seed and data of the run, for the record.
        ridge: the ridge control, as a model; None where it was not asked for (`with_ridge`) or is not there.
    """

    model: SegmentModel
    encoder: str
    signature: Mapping[str, Any]
    calibration: Calibration
    training: Mapping[str, Any] = field(default_factory=dict)
    ridge: SegmentModel | None = None

    @property
    def segment_rule(self) -> SegmentRule:
        """What a segment of its features is."""
        return SegmentRule(**self.signature["rule"])

    @property
    def categories(self) -> tuple[str, ...]:
        """Of the model's anomalies, in the order of its category scores."""
        return self.model.config.categories

    @property
    def window(self) -> WindowRule:
        """The window rule it was trained under."""
        return window_of(self.training)

    @property
    def k_divisor(self) -> int:
        """Of the top floor(T / k_divisor) + 1 segments that spoke for a video in training."""
        return k_divisor_of(self.model.config, self.training)

    def at(self, threshold: float | None) -> "Checkpoint":
        """The same with the threshold moved (`Calibration.at`); None: as it is. Raises InputError beyond [0, 1]."""
        return replace(self, calibration=self.calibration.at(threshold))

    def save(self, folder: Path) -> None:
        """Write the RUN folder; each file whole or not at all, the weights last."""
        config = {
            "model": self.model.config.as_dict(),
            "encoder": self.encoder,
            "signature": self.signature,
            "training": self.training,
            "versions": {
                "refinevad": refinevad.__version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }
        write_json(folder / CONFIG, config)
        write_json(folder / CALIBRATION, asdict(self.calibration))
        if self.ridge is None:
            (folder / RIDGE_FILE).unlink(missing_ok=True)  # of a run that lay here before
        else:
            header = {"format": RIDGE_FORMAT, "config": json.dumps(self.ridge.config.as_dict())}
            with atomic_write(folder / RIDGE_FILE) as partial:
                save_file(_weights(self.ridge), partial, metadata=header)
                sort_metadata(partial)
        with atomic_write(folder / WEIGHTS) as partial:
            save_file(_weights(self.model), partial)

    @classmethod
    def load(cls, folder: Path) -> "Checkpoint":
        """Open a RUN folder, once all in it has been checked (run_folder.py).

        Raises:
            InputError: missing, unfinished, damaged, or not of one run.
        """
        facts = read_run(folder)
        model = load_model(facts.model, folder / WEIGHTS)
        return cls(model, facts.encoder, facts.signature, facts.calibration, facts.training)

    def with_ridge(self, folder: Path) -> "Checkpoint":
        """The same with the ridge control of its folder, where there is one; scoring by the model needs none.

        Raises:
            InputError: it is damaged.
        """
        path = folder / RIDGE_FILE
        if not path.exists():
            return self
        try:
            check_regular(path, MOST_RIDGE_BYTES)
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("format") != RIDGE_FORMAT:
                    raise KeyError(f"format {header.get('format')}")
                config = open_config(parse_json(header["config"]))
                if config.head != LINEAR:
                    raise KeyError(f"head {short(config.head)}")
                if (config.channels, config.categories) != (self.model.config.channels, self.model.config.categories):
                    raise KeyError("it is another model's")
                model = open_model(config)
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                model.load_state_dict(weights)
                if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
                    raise ValueError("NaN or infinite weights")
        except (*_DAMAGE, InputError) as error:
            raise InputError(
                f"the ridge control {path} is damaged or of another version ({error}); train the run again, "
                "or delete this file to evaluate without it"
            ) from error
        return replace(self, ridge=model.eval())

    @property
    def refinevad(self) -> RefineVAD:
        """The model, where MoTAR and CORE are asked for. Raises InputError for a run of another head."""
        if not isinstance(self.model, RefineVAD):
            raise InputError(f"this run is of the head {self.model.config.head}; only RefineVAD has MoTAR and CORE")
        return self.model


def _weights(model: SegmentModel) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically; NaN becomes null, so that every reader can parse it."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(finite(content), indent=1) + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """The same structure with NaN and infinities as None, which JSON can carry."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
