"""A data set's videos -> its feature folder: resumable, skipped when up to date; a bad video stops no other."""

import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import refinevad
from refinevad.datasets.annotated_set import root_of
from refinevad.datasets.dataset import INDEX, FeatureIndex, Item
from refinevad.datasets.leaks import Digest
from refinevad.datasets.ledger import Ledger, line_of
from refinevad.datasets.ucf_crime import UcfCrimeVideo, caption_features
from refinevad.encoders.captions import CaptionEncoder
from refinevad.encoders.choice import registered
from refinevad.errors import InputError
from refinevad.features.encoding import Encoded
from refinevad.features.kept import keep, keep_all, keep_found, open_kept
from refinevad.features.store import Features, Provenance, read_provenance, save_features
from refinevad.features.workers import open_workers
from refinevad.machine.ray_pool import OnRay
from refinevad.machine.worker_pool import deaths_told
from refinevad.timeline import SegmentRule
from refinevad.video.reading import DamagedVideoWarning


@dataclass(frozen=True)
class Extracted:
    """What became of a data set: the index of what can be used, and one sentence for each video that cannot.

    `notes`: what else a person should know. `digests`: of the videos' bytes, where the headers were asked already.
    """

    index: FeatureIndex
    made: int
    skipped: int
    failed: dict[str, str]
    notes: tuple[str, ...] = ()
    digests: Mapping[Item, Digest | None] | None = None


@dataclass(frozen=True)
class _Work:
    """Videos to be extracted, each into its target."""

    videos: list[Path]
    targets: list[Path]
    spec: str
    rule: SegmentRule

    def done(self, workers: int | OnRay) -> Generator[tuple[int, Callable[[], bool]], None, None]:
        """(place, what finds out whether anything was made) of each video, in the order they are done in."""
        alone = registered(self.spec) is not None  # which no other process knows of
        if alone and isinstance(workers, OnRay):
            raise InputError(f"encoder '{self.spec}' is registered in this process alone, not in Ray's; leave --ray")
        if not self.videos:
            return
        if alone or workers == 1:
            for place, (video, target) in enumerate(zip(self.videos, self.targets, strict=True)):
                yield place, partial(keep, video, self.spec, self.rule, target)
            return
        death = deaths_told("extracts features", "run again with fewer --workers: what is done is kept")
        with (
            death,
            open_workers(workers) as pool,
            keep_all(self.videos, self.spec, self.rule, self.targets, pool) as done,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", DamagedVideoWarning)  # told of the whole set, from what is stored
            for place, found in done:
                yield place, partial(_kept, self.videos[place], found, self.spec, self.rule, self.targets[place])


def extract_all(
    root: Path,
    items: Sequence[Item],
    spec: str,
    rule: SegmentRule,
    out: Path,
    workers: int | OnRay = 1,
    progress: Callable[[], None] | None = None,
) -> Extracted:
    """Extract every video of a data set into `out`, and write the index of those that worked.

    Args:
        workers: how many processes, or the Ray that does it.

    Raises:
        InputError: the encoder cannot be opened, the disk is full, or no video at all could be read.
        RefineVADError: a worker process was killed.
    """
    encoder = open_kept(spec)  # fails here, once, rather than in every worker; and fills the weights' cache
    index = FeatureIndex(out, list(items), spec, str(root))
    failed: dict[str, str] = {}
    made = 0

    below = root_of(root)

    def note(place: int, outcome: Callable[[], bool]) -> None:
        nonlocal made
        try:
            made += outcome()
        except InputError as error:
            if str(error).startswith("cannot write"):
                raise
            failed[items[place].path] = str(error)
        if progress is not None:
            progress()

    ledger = Ledger(out, Provenance(encoder.identity.as_dict(), rule.as_dict()).signature)
    known = [ledger.line(item.path, index.place(item), f"{below}/{item.path}") for item in items]
    left = [place for place, line in enumerate(known) if line is None]
    for _ in range(len(items) - len(left) if progress is not None else 0):
        progress()
    videos, targets = [below / items[place].path for place in left], [index.path(items[place]) for place in left]
    work = _Work(videos, targets, spec, rule)
    with closing(work.done(workers)) as done:  # stopped, its processes end at once
        for number, outcome in done:
            note(left[number], outcome)
    if len(failed) == len(items):
        raise InputError(f"none of the {len(items)} videos could be read; the first: {next(iter(failed.values()))}")
    usable = FeatureIndex(out, [item for item in items if item.path not in failed], encoder.spec, str(root))
    usable.save()
    lines = {
        item: known[place] or line_of(read_provenance(index.path(item)).source, index.place(item))
        for place, item in enumerate(items)
        if item.path not in failed
    }
    if left:
        ledger.save(((item.path, line) for item, line in lines.items() if line is not None), len(items))
    notes = tuple(sentence for line in lines.values() if line is not None for sentence in line.notes)
    digests = {item: None if line is None else (line.video[0], line.sampled_sha256) for item, line in lines.items()}
    return Extracted(usable, made, len(items) - made - len(failed), failed, notes, digests)


def _kept(
    video: Path, found: Encoded | Features | bool | InputError | None, spec: str, rule: SegmentRule, target: Path
) -> bool:
    """Whether a worker made anything; raises what it met, and saves what it gave."""
    if isinstance(found, InputError):
        raise found
    if isinstance(found, Encoded | Features):
        keep_found(video, found, spec, rule, target)
        return True
    return bool(found)


def extract_ucf_captions(
    root: Path,
    videos: Sequence[UcfCrimeVideo],
    spec: str,
    encoder: CaptionEncoder,
    out: Path,
    progress: Callable[[], None] | None = None,
) -> Extracted:
    """Features of UCF-Crime from its human captions: `<split>/<name>.safetensors`, 16 frames a segment.

    Videos of a split that is not among `videos` stay in the index as an earlier call left them.
    """
    items = [Item(f"{video.split}/{video.name}.mp4", video.labels, video.split) for video in videos]
    index = FeatureIndex(out, [*items, *_other_splits(out, items)], spec, str(root))
    rule = SegmentRule(frames=16)
    wanted = Provenance(encoder.identity.as_dict(), rule.as_dict())
    missing = [
        (video, item) for video, item in zip(videos, items, strict=True) if not _is_signed(index.path(item), wanted)
    ]
    paths = {video.name: index.path(item) for video, item in missing}
    for video, values in caption_features(root, [video for video, _ in missing], encoder):
        source = {"name": video.name, "rate_hz": 30.0, "duration_s": video.timeline.duration_s}
        provenance = Provenance(wanted.encoder, wanted.rule, {}, source, encoder.parts, refinevad.__version__)
        save_features(paths[video.name], Features(values, video.timeline, provenance))
        if progress is not None:
            progress()
    index.save()
    return Extracted(index, len(missing), len(items) - len(missing), {})


def _is_signed(path: Path, wanted: Provenance) -> bool:
    if not path.exists():
        return False
    try:
        return read_provenance(path).signature == wanted.signature
    except InputError:
        return False


def _other_splits(out: Path, items: Sequence[Item]) -> list[Item]:
    if not (out / INDEX).exists():
        return []
    made = {item.split for item in items}
    return [item for item in FeatureIndex.open(out).items if item.split not in made]
