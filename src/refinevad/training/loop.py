"""The training loop: balanced bags in, the epoch that validates best out; stopped, it goes on where it was."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from refinevad.datasets.bag import Bag
from refinevad.errors import InputError
from refinevad.evidence import Prompts
from refinevad.files.json_files import MOST_BYTES, check_regular
from refinevad.files.whole import atomic_write
from refinevad.judging.metrics import Runs, roc_auc
from refinevad.model_choice import open_model
from refinevad.model_output import Output
from refinevad.segment_model import ModelConfig, ModelOutput, SegmentModel
from refinevad.training.bags import Batch, balanced_batches, collate
from refinevad.training.distributed import ALONE, Processes
from refinevad.training.loading import kept_in_memory, read_batches
from refinevad.training.losses import (
    category_loss,
    gmm_loss,
    inheritance_loss,
    mil_loss,
    naming_loss,
    posterior_loss,
    pseudo_label_loss,
    top_k_mean,
)
from refinevad.training.precision import autocast, check_precision, in_float32, loss_scaler
from refinevad.training.resume import load_state, save_state
from refinevad.training.ridge import fit_teacher
from refinevad.training.train_options import TrainOptions
from refinevad.training.validation import Validation
from refinevad.training.windowed import make_batch, pass_through

HISTORY = "history.jsonl"
MOST_EPOCHS = 200  # that `steps` asks for: a set of a few videos is not gone through a thousand times


@dataclass(frozen=True)
class Trained:
    """What training leaves: the chosen epoch's model and how it validated."""

    model: SegmentModel
    epoch: int
    validation: Validation
    epochs_run: int


def losses_of(model: SegmentModel, output: ModelOutput, batch: Batch, options: TrainOptions) -> dict[str, Tensor]:
    """Each weighted term of a model's loss by name: a published head's as its paper weighs it."""
    return model.losses(output, batch.labels, batch.mask, lambda found: losses(found, batch, options))


def losses(output: Output, batch: Batch, options: TrainOptions) -> dict[str, Tensor]:
    """Each weighted term of RefineVAD's loss by name; their sum is minimised."""
    terms = {}
    if options.lambda_mil or not options.lambda_pseudo:
        terms["mil"] = options.lambda_mil * mil_loss(output, batch.labels, batch.mask, options.k_divisor)
    if options.lambda_pseudo:
        terms["pseudo"] = options.lambda_pseudo * pseudo_label_loss(output, batch.labels, batch.mask)
    if options.lambda_naming and len(output.config.categories) > 1:
        terms["naming"] = options.lambda_naming * naming_loss(output, batch.labels, batch.mask)
    # beside a direct path that already tells videos apart, to name the only category teaches which videos, not when
    named = len(output.config.categories) > 1 or not output.config.ridge
    if options.lambda_category and named:
        terms["category"] = options.lambda_category * category_loss(output, batch.labels)
    if options.lambda_posterior:
        terms["posterior"] = options.lambda_posterior * posterior_loss(
            output, batch.labels, batch.mask, options.k_divisor
        )
    if options.lambda_inherit:
        terms["inherit"] = options.lambda_inherit * inheritance_loss(output, batch.labels, batch.mask)
    if options.lambda_gmm:
        terms["gmm"] = options.lambda_gmm * gmm_loss(output, batch.labels, batch.mask)
    return terms


@torch.no_grad()
def validate(model: SegmentModel, bags: Sequence[Bag], options: TrainOptions, device: torch.device) -> Validation:
    """Score validation videos as training sees them, without labels; compare with their video-level labels."""
    model.eval()
    scores, truth = [], []
    for start in range(0, len(bags), options.batch):
        batch = make_batch(bags[start : start + options.batch], options.limit, options.shortening).to(device)
        output = pass_through(model, batch)
        scores.append(top_k_mean(output.logits, batch.mask, options.k_divisor).cpu())
        truth.append(batch.labels.cpu().sum(-1) > 0)
    logits, anomalous = torch.cat(scores), torch.cat(truth)
    loss = float(F.binary_cross_entropy_with_logits(logits, anomalous.float()))
    return Validation(roc_auc(Runs.from_frames(logits.double().numpy(), anomalous.numpy())), loss)


def fit_statistics(model: SegmentModel, bags: Sequence[Bag], options: TrainOptions, prompts: Prompts | None) -> None:
    """Standardisation from at most 512 training videos."""
    sample = bags[:: -(-len(bags) // 512)]
    batch = collate(sample, options.limit, options.shortening)
    model.fit_statistics(batch.values, batch.mask, prompts)
    if model.fitted_path is not None:
        model.fitted_path.take(fit_teacher(model.config, bags, options.teacher_rate, options.teacher_inheritance))


@torch.no_grad()
def match_paths(model: SegmentModel, bags: Sequence[Bag], options: TrainOptions, device: torch.device) -> None:
    """Bring a model's paths to one scale, by at most 512 training videos."""
    model.eval()
    sample = bags[:: -(-len(bags) // 512)]
    starts = range(0, len(sample), options.batch)
    batches = (make_batch(sample[at : at + options.batch], options.limit, options.shortening) for at in starts)
    model.match_outputs((pass_through(model, batch), batch.mask) for batch in (one.to(device) for one in batches))


class Trainer:
    """One training run in a folder. `run()` starts it, or goes on after the last whole epoch found there.

    Several `processes` train one model: each has a Trainer of its own, with the same arguments.
    """

    def __init__(
        self,
        config: ModelConfig,
        options: TrainOptions,
        training: Sequence[Bag],
        validation: Sequence[Bag],
        folder: Path,
        device: torch.device | None = None,
        prompts: Prompts | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.processes = processes
        self.options, self.validation, self.folder = options, validation, folder
        self.training = training = kept_in_memory(training, options.limit, options.shortening)
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        check_precision(options.precision, self.device)
        torch.manual_seed(options.seed)
        if config.compares_videos and processes.count > 1:
            raise InputError(f"the head {config.head} trains in one process: its loss compares videos of a batch")
        self.model = open_model(config)
        fit_statistics(self.model, training, options, prompts)
        self.model.to(self.device)
        processes.copy_first(self.model.state_dict().values())
        weights = self.model.state_dict()
        self.average = {name: value.clone() for name, value in weights.items()}
        self._averaged = [(self.average[name], value) for name, value in weights.items()]
        self.optimizer = torch.optim.AdamW(
            _groups(self.model, options), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        a_epoch = sum(1 for _ in balanced_batches(training, options.batch, options.seed, 0))
        self.epochs = min(MOST_EPOCHS, -(-options.steps // a_epoch)) if options.steps else options.epochs
        steps = self.epochs * a_epoch
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, _warm_cosine(steps))
        self.scaler = loss_scaler(options.precision, self.device)
        self.best: dict[str, Tensor] | None = None
        self.best_validation: Validation | None = None
        self.best_epoch = -1
        self.epoch = 0

    def run(self, progress: Callable[[int, dict[str, float]], None] | None = None) -> Trained:
        """Train to the end; `progress(epoch, figures)` is called after each epoch, in the first process alone.

        Among the figures are the epoch and how many there will be, as `epoch` and `epochs`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        load_state(self)
        while self.epoch < self.epochs and self.epoch - self.best_epoch <= self.options.patience:
            figures = self._epoch()
            figures |= self._choose()
            self.epoch += 1
            if self.processes.first:
                self._record(figures)  # before the state: what a stop in between leaves is cut when it goes on
                save_state(self)
                if progress is not None:
                    progress(self.epoch, figures | {"epoch": self.epoch, "epochs": self.epochs})
        if self.best is None:
            raise InputError(f"training has no epoch to keep: epochs={self.options.epochs}; ask for at least one")
        self.model.load_state_dict(self.best)
        matched = self.model.fitted_path is not None
        if matched:
            match_paths(self.model, self.training, self.options, self.device)
        if matched or self.best_validation is None:
            bags = self.validation or self.training
            self.best_validation = validate(self.model, bags, self.options, self.device)
        self.model.eval()
        return Trained(self.model, self.best_epoch, self.best_validation, self.epoch)

    def _epoch(self) -> dict[str, float]:
        self.model.train()
        batches = self.order(self.epoch)
        # an epoch's noise depends on nothing before it, and is each process's own
        torch.manual_seed(self.options.seed * 100_003 + self.epoch + 1 + self.processes.rank * 15_485_863)
        sums: dict[str, float] = {}
        for batch in self.batches(self.epoch, batches):
            for name, value in self._step(batch).items():
                sums[name] = sums.get(name, 0.0) + value / len(batches)
        return sums | {"learning_rate": float(self.schedule.get_last_lr()[0])}

    def order(self, epoch: int) -> list[list[int]]:
        """Which training bags make each batch of an epoch."""
        return list(balanced_batches(self.training, self.options.batch, self.options.seed, epoch))

    def batches(self, epoch: int, order: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """An epoch's batches on the device. Raises InputError where a bag cannot be read."""
        draw = np.random.default_rng([self.options.seed, epoch, 1])  # beside the order's own
        return read_batches(self.training, order, self.options.limit, self.options.shortening, self.device, draw)

    def _step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch; its loss and each of the terms. Raises InputError where the loss is not finite."""
        share = self.processes.share(batch)
        with autocast(self.options.precision, self.device):
            output = pass_through(self.model, share)
        terms = self.processes.of_whole_batch(
            losses_of(self.model, in_float32(output), share, self.options), share, batch
        )
        total = torch.stack(list(terms.values())).sum()
        figures = self.processes.sum(torch.stack([total, *terms.values()]).detach()).tolist()
        if not np.isfinite(figures[0]):
            raise InputError(
                f"the loss became {figures[0]} in epoch {self.epoch + 1}; lower learning_rate "
                f"({self.options.learning_rate}) or check the features"
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        self.processes.sum_gradients(self.model)
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.get_scale() >= scale:  # else gradients overflowed float16: no step was taken
            self.schedule.step()
            self._average()
        return dict(zip(["loss", *terms], figures, strict=True))

    def _average(self) -> None:
        """Bring the average a step nearer to the weights."""
        # young averages forget the untrained start sooner
        step = self.schedule.last_epoch
        decay = min(self.options.averaging, (step + 1) / (step + 10)) if self.options.averaging else 0.0
        with torch.no_grad():
            for average, value in self._averaged:
                if value.is_floating_point():
                    average.lerp_(value, 1.0 - decay)
                else:  # a count, such as BatchNorm's of batches
                    average.copy_(value)

    def _choose(self) -> dict[str, float]:
        """Keep the epoch's averaged weights where they are the best or the last; how they validated, by name.

        Where the last are kept and nothing is held out, a figure would neither change nor mean anything: there is none.
        """
        last = self.options.keep == "last"
        validated = None if last and not self.validation else self.processes.from_first(self._validate)
        if validated is None or last or validated.better_than(self.best_validation):
            self.best_validation, self.best_epoch = validated, self.epoch
            self.best = {name: value.clone() for name, value in self.average.items()}
        if validated is None:
            return {}
        on = "val" if self.validation else "train"
        return {f"{on}_video_auc": validated.video_auc, f"{on}_loss": validated.loss}

    def _validate(self) -> Validation:
        """Validate the averaged weights, then put the running ones back."""
        running = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        validated = validate(self.model, self.validation or self.training, self.options, self.device)
        self.model.load_state_dict(running)
        return validated

    def _record(self, figures: dict[str, float]) -> None:
        """Append an epoch to the history, cutting what a run that was stopped left beyond the saved state."""
        path = self.folder / HISTORY
        lines = _lines(path)[: self.epoch - 1]
        with atomic_write(path) as partial:
            partial.write_text(
                "\n".join([*lines, json.dumps({"epoch": self.epoch, **figures})]) + "\n", encoding="utf-8"
            )

    @cached_property  # every epoch's state holds it, and making it opens all the files of the set
    def fingerprint(self) -> dict[str, Any]:
        """What a saved state must share with this run to be resumed."""
        return {
            "config": self.model.config.as_dict(),
            "options": asdict(self.options),
            "training": _digest(self.training),
            "validation": _digest(self.validation),
        }


def _lines(path: Path) -> list[str]:
    """A history's lines; none where there is none. Raises InputError where it cannot be read."""
    if not path.exists():
        return []
    try:
        check_regular(path, MOST_BYTES)
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, InputError) as error:  # ValueError: not UTF-8
        raise InputError(f"{path} is damaged ({error}); delete it to go on") from error


def _digest(bags: Sequence[Bag]) -> str:
    """Tells data sets apart: SHA-256 of what tells each bag from another."""
    digest = hashlib.sha256()
    for bag in bags:
        digest.update(bag.identity())
    return digest.hexdigest()


def _groups(model: SegmentModel, options: TrainOptions) -> list[dict[str, Any]]:
    """Parameters in their own order, the direct path's with its own rate."""
    direct = set(model.direct_parameters())
    return [
        {"params": [p for p in model.parameters() if p not in direct]},
        {"params": [p for p in model.parameters() if p in direct], "lr": options.learning_rate * options.direct_rate},
    ]


def _warm_cosine(steps: int) -> Callable[[int], float]:
    """Linear warm-up over the first 5 % of steps, then a cosine to a hundredth."""
    warm = max(1, steps // 20)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(1, steps - warm))))

    return factor
