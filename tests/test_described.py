"""Found by description: likeness by hand, thresholds by quiet video, the command, and prompts for any that reads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cli_cases import call, error_of
from refinevad.detection.described import Describer
from refinevad.encoders import choice
from refinevad.encoders.base import EncoderIdentity
from refinevad.encoders.choice import open_encoder
from refinevad.encoders.words import Words
from refinevad.errors import InputError
from refinevad.features.store import Features, Provenance
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.fitting import embed_prompts
from refinevad.training.recipe import Recipe, read_recipe
from tiny_networks import FAMILIES, captioner, saved, sentences, transformers
from videos import sliding, write_video


class Reader(choice.CaptionEncoder):
    """Sentences lie on axes by their first word: fire, falls, and all others."""

    def __init__(self) -> None:
        self.dim, self.parts, self.name = 3, {"captions": (0, 3)}, "reader"

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("reader", "3" * 64)

    def words(self, sentences: list[str]) -> Words:
        axes = [{"fire": 0, "falls": 1}.get(sentence.split()[0], 2) for sentence in sentences]
        return Words(np.eye(3, dtype=np.float32)[axes], 2.0, same_space=True)


READER = choice.EncoderChoice("reader", None, Reader())


def _features(values: np.ndarray) -> Features:
    timeline = Timeline.uniform(16 * len(values), 25.0, SegmentRule(seconds=0.64))
    return Features(values.astype(np.float32), timeline, Provenance({"name": "reader"}, {"seconds": 0.64}))


def test_likeness_is_a_softmax_by_hand() -> None:
    """Two descriptions against two ordinary sentences; cosines 1 and 0 times a scale of 2; then of 45 degrees."""
    describer = Describer.of(READER, ["fire  now", "falls", "fire now"], ["nothing", "a car"])
    assert describer.descriptions == ("fire now", "falls")
    values = np.array([[5.0, 0, 0], [0, 0, 1], [0, 0, 0], [1, 1, 0]], np.float32)
    found = describer.likeness(values)
    e, near = np.exp(2), np.exp(2 / np.sqrt(2))
    wanted = [
        [e / (e + 3), 1 / (e + 3)],
        [1 / (2 * e + 2), 1 / (2 * e + 2)],
        [0, 0],
        [near / (2 * near + 2), near / (2 * near + 2)],
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_events_are_named_as_they_were_described() -> None:
    describer = Describer.of(READER, ["fire", "falls"], ["nothing"])
    quiet, fire, fall = [0, 0, 1.0], [1.0, 0, 0], [0, 1.0, 0]
    found = describer.detect_features(_features(np.array([quiet] * 6 + [fire] * 4 + [quiet] * 6 + [fall] * 4)), "a.mp4")
    assert [event.category for event in found.events] == ["fire", "falls"]
    assert [round(event.start_s / 0.64) for event in found.events] == [6, 16]
    assert found.categories == ("fire", "falls")
    json.loads(found.to_json())
    assert not describer.at(0.99).detect_features(_features(np.array([fire] * 4)), "b.mp4").events


@pytest.mark.parametrize(("said", "normal"), [([], ["x"]), ([" "], ["x"]), (["fire"], [])])
def test_nothing_is_no_description(said: list[str], normal: list[str]) -> None:
    with pytest.raises(InputError, match="a description is a sentence"):
        Describer.of(READER, said, normal)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in ("clip", "siglip", "clap", "dino", "ast"):
        saved(root / name, FAMILIES[name][1])
    saved(root / "captioner", captioner)
    saved(root / "sentences", sentences)
    return root


@pytest.mark.parametrize(("word", "name"), [("clip", "clip"), ("siglip", "siglip"), ("audio", "clap")])
def test_sentences_are_read_as_the_whole_model_reads_them(models: Path, word: str, name: str) -> None:
    """By the two-sided model's own forward pass, one sentence at a time."""
    said = ["a man falls", "the street"]
    found = open_encoder(f"{word}:{models / name}").words(said)
    model = transformers.AutoModel.from_pretrained(models / name).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(models / name)
    for sentence, vector in zip(said, found.vectors, strict=True):
        whole = {"padding": "max_length", "max_length": 16} if name == "siglip" else {}
        ids = {"input_ids": tokenizer(sentence, return_tensors="pt", **whole)["input_ids"]}
        if name == "clap":
            ids |= {"input_features": torch.zeros(1, 1, 201, 64), "is_longer": torch.zeros(1, 1, dtype=torch.bool)}
        else:
            ids["pixel_values"] = torch.zeros(1, 3, 32, 32)
        with torch.no_grad():
            wanted = model(**ids).text_embeds[0]
        np.testing.assert_allclose(vector, torch.nn.functional.normalize(wanted, dim=0).numpy(), atol=1e-5)
    scale = model.logit_scale_a if name == "clap" else model.logit_scale
    assert found.scale == pytest.approx(float(scale.detach().exp()))


@pytest.mark.parametrize(
    "spec", ["dino:{}/dino", "audio:{}/ast", "clip:{}/clip@pool=max", "clip:{}/clip+captions:{}/sentences"]
)
def test_who_cannot_read_says_so(models: Path, spec: str) -> None:
    with pytest.raises(InputError, match="was not trained with words"):
        open_encoder(spec.replace("{}", str(models))).words(["x"])


@pytest.mark.parametrize("spec", ["clip:{}/clip", "captioned:{}/captioner:{}/sentences", "audio:{}/clap"])
def test_detect_by_description(models: Path, tmp_path: Path, spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_video(tmp_path / "door.mkv", sliding(60, (48, 32)))
    told = ("--describe", "smoke", "--describe", "a person falls", "--encoder", spec.replace("{}", str(models)))
    out = ("--out", tmp_path / "found")
    assert call("detect", video, *told, *out, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["videos"][0]["video"] == str(video)
    detection = json.loads((tmp_path / "found" / "door.json").read_text())
    assert detection["categories"] == ["smoke", "a person falls"]
    assert detection["threshold"] == 0.5
    highest = max(segment["score"] for segment in detection["segments"])
    assert 0 < highest < 1
    assert call("detect", video, *told, *out, "--quiet", video) == 0
    assert json.loads((tmp_path / "found" / "door.json").read_text())["threshold"] == pytest.approx(highest, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--encoder", "lite"), "--encoder, --normal and --quiet go with --describe TEXT"),
        (("--describe", "x"), "--describe needs --encoder"),
        (("--describe", "x", "--model", "run", "--encoder", "lite"), "leave --model and --window out"),
        (("--describe", "x", "--encoder", "lite"), "encoder 'lite' was not trained with words"),
        (("--describe", "x", "--encoder", "clip:some/hub"), "hf download some/hub"),
    ],
)
def test_descriptions_that_cannot_be(
    tmp_path: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("detect", tmp_path / "a.mp4", "--out", tmp_path, *arguments) == 2
    assert said in error_of(capsys)


def test_prompts_of_a_picture_encoder_lie_about_the_pictures(models: Path) -> None:
    """Sentences of CLIP lie apart from its pictures: their middle is put where the pictures' is, by hand."""
    encoder = f"clip:{models / 'clip'}"
    prompts = {"fall": ["a man falls", "a person lying on the floor"], "normal": ["the street"]}
    recipe = replace(Recipe(data=Path()), encoder=encoder, prompts=prompts)
    values = np.random.default_rng(0).normal(size=(6, 12)).astype(np.float32)
    found = embed_prompts(recipe, ("fall",), [_features(values)])
    assert found is not None
    read = open_encoder(encoder).words([*prompts["fall"], *prompts["normal"]]).vectors
    np.testing.assert_allclose(found.center.numpy(), values.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found.vectors.numpy(), read - read.mean(axis=0) + values.mean(axis=0), atol=1e-5)
    assert found.owner == (0, 0, 1)


def test_prompts_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "words.toml").write_text('fall = ["a man falls"]\nnormal = ["the street"]\n')
    recipe = tmp_path / "a.toml"
    recipe.write_text('[data]\nroot = "set"\n[prompts]\nfile = "words.toml"\n')
    assert read_recipe(recipe).prompts == {"fall": ["a man falls"], "normal": ["the street"]}
    for content, said in (
        ('file = "words.toml"\nfall = ["x"]', "not both"),
        ('file = "none.toml"', "none.toml"),
        ('file = ["a film"]', None),
    ):
        recipe.write_text(f'[data]\nroot = "set"\n[prompts]\n{content}\n')
        if said is None:  # a category of that name
            assert read_recipe(recipe).prompts == {"file": ["a film"]}
        else:
            with pytest.raises(InputError, match=said):
                read_recipe(recipe)
