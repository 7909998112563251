"""A video's sound: right in time, silence where there is none, and one vector a segment by AST or CLAP."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from refinevad.encoders.choice import open_encoder
from refinevad.encoders.sound import SoundEncoder
from refinevad.features.extraction import extract
from refinevad.timeline import SegmentRule, Timeline
from refinevad.video.sound import sound_between
from tiny_networks import FAMILIES, clap, saved, transformers
from videos import write_video

RATE = 16000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in ("ast", "clap"):
        saved(root / name, FAMILIES[name][1])
    return root


def film_with(
    path: Path,
    loud_s: Sequence[tuple[float, float]],
    *,
    length_s: float = 8.0,
    codec: str = "pcm_s16le",
    rate: int = RATE,
    sound_from_s: float = 0.0,
    pictures_from_s: float = 0.0,
    paused_s: tuple[float, float] = (0.0, 0.0),
) -> Path:
    """A film whose sound is a tone in these spans of the container's clock, and silent otherwise."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        voice = container.add_stream(codec, rate=rate, layout="mono")
        for index in range(int((length_s - pictures_from_s) * 25)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), index % 200, np.uint8), format="rgb24")
            frame.pts = index + round(pictures_from_s * 25)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        times = np.arange(int(length_s * rate)) / rate
        tone = np.sin(2 * np.pi * 1000 * times) * 0.5
        heard = sum(((times >= start) & (times < end) for start, end in loud_s), np.zeros(len(times), bool))
        samples = np.where(heard, tone * 32767, 0).astype(np.int16)
        for start in range(round(sound_from_s * rate), len(samples), 1000):
            if paused_s[0] <= start / rate < paused_s[1]:
                continue
            part = samples[start : start + 1000]
            frame = av.AudioFrame.from_ndarray(part[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    return path


def _loud(path: Path, spans: Sequence[tuple[float, float]], rate: int = RATE) -> list[bool]:
    """Whether each span is a tone through and through, or silent through and through."""
    found = []
    for samples, (start, end) in zip(sound_between(path, spans, rate), spans, strict=True):
        assert len(samples) == round((end - start) * rate)
        inner = samples[len(samples) // 20 : -len(samples) // 20].reshape(9, -1)
        levels = np.sqrt((inner**2).mean(axis=1))
        assert (levels > 0.3).all() or (levels < 0.02).all(), levels
        found.append(bool(levels.mean() > 0.3))
    return found


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"), [(".mkv", "pcm_s16le", RATE), (".mp4", "aac", 48000), (".mkv", "pcm_s16le", 44100)]
)
def test_a_tone_is_where_it_was(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    path = film_with(tmp_path / f"a{suffix}", [(2.0, 3.0), (6.5, 7.0)], codec=codec, rate=rate)
    spans = [(1.0, 2.0), (2.0, 3.0), (2.5, 3.0), (3.0, 4.0), (6.0, 6.5), (6.5, 7.0), (8.5, 9.0)]
    assert _loud(path, spans) == [False, True, True, False, False, True, False]


def test_second_0_is_the_first_picture(tmp_path: Path) -> None:
    path = film_with(tmp_path / "a.mkv", [(3.0, 4.0)], pictures_from_s=2.0)
    assert _loud(path, [(-1.0, 0.0), (0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]) == [False, False, True, False]


def test_sound_that_begins_late_or_pauses_keeps_its_time(tmp_path: Path) -> None:
    late = film_with(tmp_path / "late.mkv", [(3.0, 4.0)], sound_from_s=2.0)
    assert _loud(late, [(1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (4.0, 5.0)]) == [False, False, True, False]
    paused = film_with(tmp_path / "paused.mkv", [(1.0, 2.0), (6.0, 7.0)], paused_s=(2.0, 5.0))
    assert _loud(paused, [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (6.0, 7.0)]) == [True, False, False, True]
    assert _loud(paused, [(0.0, 1.0), (6.0, 7.0)]) == [False, True]


def test_no_more_is_held_than_is_asked_for(tmp_path: Path) -> None:
    """Sound of many windows, each the same whether it is read alone or among others that overlap it."""
    path = film_with(tmp_path / "a.mkv", [(1.3, 2.2), (4.0, 4.1)])
    spans = [(start / 4 - 0.5, start / 4 + 1.5) for start in range(32)]
    together = list(sound_between(path, spans, RATE))
    for place in (0, 7, 15, 31):
        (alone,) = sound_between(path, spans[place : place + 1], RATE)
        np.testing.assert_array_equal(together[place], alone)


@pytest.mark.parametrize("name", ["ast", "clap"])
def test_a_segment_is_what_the_model_says_of_its_sound(models: Path, tmp_path: Path, name: str) -> None:
    """The two seconds around a segment's middle, by transformers' own extractor and model."""
    path = film_with(tmp_path / "a.mkv", [(2.0, 3.0), (6.5, 7.0)])
    encoder = SoundEncoder(str(models / name))
    timeline = Timeline.uniform(200, 25.0, SegmentRule(seconds=0.64))
    found = encoder.encode(path, timeline)
    assert found.shape == (13, encoder.dim)
    model = transformers.AutoModel.from_pretrained(models / name).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(models / name)
    for place in (0, 4, 9, 12):
        start_s, end_s = place * 0.64, min((place + 1) * 0.64, 8.0)
        middle_s = (start_s + end_s) / 2
        (samples,) = sound_between(path, [(middle_s - 1, middle_s + 1)], encoder.rate_hz)
        given = extractor(samples, sampling_rate=encoder.rate_hz, return_tensors="pt")
        with torch.no_grad():
            if name == "ast":
                wanted = model(**given).pooler_output[0]
            else:
                heard = given["input_features"].float()
                wanted = model.audio_projection(model.audio_model(input_features=heard).pooler_output)[0]
                wanted = torch.nn.functional.normalize(wanted, dim=0)
        np.testing.assert_allclose(found[place], wanted.numpy(), atol=1e-4)
    # silent segments are alike, those with a tone are not like them
    np.testing.assert_array_equal(found[0], found[7])
    assert np.abs(found[4] - found[0]).max() > 1e-3


def test_a_video_without_sound_is_silence(models: Path, tmp_path: Path) -> None:
    silent = film_with(tmp_path / "silent.mkv", [])
    mute = write_video(tmp_path / "mute.mkv", frames=200)
    rule = SegmentRule.default()
    choice = open_encoder(f"audio:{models / 'ast'}")
    assert (choice.vision, choice.beyond_pictures, choice.parts) == (None, "sound", {"audio": (0, 16)})
    found = extract(mute, choice, rule).values
    assert found.any()
    np.testing.assert_array_equal(found, np.repeat(found[:1], len(found), axis=0))
    np.testing.assert_allclose(extract(silent, choice, rule).values, found, atol=1e-6)


def test_fusion_marks_no_sound_by_chance(tmp_path: Path) -> None:
    """CLAP's extractor marks one of a batch at random as cut: the same sound must give the same vector."""
    encoder = SoundEncoder(str(saved(tmp_path / "fusion", partial(clap, fusion=True))))
    random = np.random.default_rng(0)
    sounds = [random.normal(0, 0.1, 96000).astype(np.float32) for _ in range(2)]
    together = encoder._by_network(sounds)
    for sound, vector in zip(sounds, together, strict=True):
        np.testing.assert_allclose(encoder._by_network([sound])[0], vector, atol=1e-5)


def test_identity_follows_weights(models: Path, tmp_path: Path) -> None:
    ours = SoundEncoder(str(models / "ast"))
    other = SoundEncoder(str(saved(tmp_path / "other", FAMILIES["ast"][1], seed=1)))
    assert ours.identity.digest == SoundEncoder(str(models / "ast")).identity.digest != other.identity.digest
