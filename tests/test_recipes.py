"""Every recipe and every ablation variant is parsed, builds a model, and trains an epoch on features of its shape."""

import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from fakes import Letters
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.encoders import choice
from refinevad.encoders.base import EncoderIdentity
from refinevad.encoders.captions import SentenceEncoder
from refinevad.errors import InputError
from refinevad.features.store import Features, Provenance, save_features
from refinevad.model_config import RefineVADConfig
from refinevad.study.ablation import Variant, paired, read_variant
from refinevad.study.seed_rows import SeedRow
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training import fitting
from refinevad.training.experiment import split_items, train_run
from refinevad.training.recipe import DEFAULT_MODEL, DEFAULT_TRAINING, Recipe, read_recipe
from refinevad.training.train_options import TrainOptions

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"
VARIANTS = sorted([*(RECIPES / "ablation").glob("*.toml"), *(RECIPES / "defaults" / "candidates").glob("*.toml")])
PARTS = {
    "lite": {
        "motion_mean": (0, 3),
        "motion_deviation": (3, 6),
        "motion_peak": (6, 9),
        "frame_difference": (9, 10),
        "change": (10, 14),
        "appearance": (14, 20),
    },
    "captions": {"captions": (0, 4)},
    "published": {"visual": (0, 4)},
    "clip:openai/clip-vit-large-patch14+captioned:HuggingFaceTB/SmolVLM2-2.2B-Instruct": {
        "clip": (0, 3),
        "captioned": (3, 5),
    },
}


class Words(SentenceEncoder):
    """The tiny sentence encoder of `fakes`, of the real one's type."""

    identity = EncoderIdentity("captions", "2" * 64)  # type: ignore[assignment]

    def __init__(self) -> None:
        self.dim = Letters.dim

    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        return Letters().encode(sentences)


@pytest.fixture
def open_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Recipe]:
    """Read a recipe with its data stood in for by an empty folder, and its text branch by a tiny one."""
    for name in ("survfights", "falls", "ucf-crime", "xd-violence"):
        (tmp_path / "data" / name).mkdir(parents=True)
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    text = choice.CaptionEncoder(Words())
    monkeypatch.setattr(fitting, "open_encoder", lambda spec: choice.EncoderChoice(spec, None, text))
    return read_recipe


def _features(recipe: Recipe, root: Path) -> FeatureIndex:
    """Random features of the recipe's shape: a few videos of each category and split."""
    generator = np.random.default_rng(0)
    parts = PARTS[recipe.encoder]
    categories = sorted(set(recipe.prompts) - {"normal"}) or ["event"]
    items = [
        Item(
            f"{split}/{category}/{n}.mp4",
            () if category == "normal" else (category,),
            split,
            n if recipe.folds else None,
        )
        for category in ["normal", *categories]
        for split, count in (("train", 5), ("val", 2))
        for n in range(count)
    ]
    index = FeatureIndex(root, items, recipe.encoder, str(root))
    rule = SegmentRule(frames=16) if recipe.kind == "ucf-captions" else recipe.rule
    for item in items:
        timeline = Timeline.uniform(int(generator.integers(30, 200)), 25.0, rule)
        values = generator.normal(size=(timeline.segments, max(end for _, end in parts.values()))).astype(np.float32)
        provenance = Provenance({"name": recipe.encoder}, rule.as_dict(), parts=parts)
        save_features(index.path(item), Features(values, timeline, provenance))
    return index


def _train_briefly(recipe: Recipe, root: Path) -> None:
    index = _features(recipe, root / "features")
    steps = min(recipe.train.steps, 4)  # 0: as many as the epoch has
    short = replace(recipe, train=replace(recipe.train, epochs=1, steps=steps))
    checkpoint = train_run(short, index, split_items(short, index, None), root / "run")
    assert 0 <= checkpoint.calibration.threshold <= 1


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipe_trains(path: Path, open_recipe: Callable[[Path], Recipe], tmp_path: Path) -> None:
    header = path.read_text(encoding="utf-8").split("[data]")[0]
    assert all(f"# {word}" in header for word in ("command", "cost", "expected", "measured"))
    _train_briefly(open_recipe(path), tmp_path)


@pytest.mark.parametrize("path", VARIANTS, ids=lambda path: path.stem)
def test_variant_trains_and_changes_something(
    path: Path, open_recipe: Callable[[Path], Recipe], tmp_path: Path
) -> None:
    variant = read_variant(path)
    recipes = [read_recipe(recipe) for recipe in sorted(RECIPES.glob("*.toml"))]
    assert any(variant.of(recipe) != recipe for recipe in recipes)
    _train_briefly(variant.of(open_recipe(RECIPES / "ucf_captions.toml")), tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("motion", ((0, 3), (3, 6), (6, 9))),
        ("motion_and_change", ((0, 3), (3, 6), (6, 9), (10, 14))),
        ("motion_deviation", ((3, 6),)),
    ],
)
def test_inputs_laid_over_a_recipe_are_the_parts_they_name(
    name: str, expected: tuple[tuple[int, int], ...], open_recipe: Callable[[Path], Recipe]
) -> None:
    for recipe in ("survfights", "falls"):
        variant = read_variant(RECIPES / "inputs" / f"{name}.toml").of(open_recipe(RECIPES / f"{recipe}.toml"))
        assert variant.config(20, ("fall",), PARTS["lite"]).inputs == expected


@pytest.mark.parametrize("options", [RefineVADConfig, TrainOptions], ids=["model", "train"])
def test_every_option_is_set_by_a_recipe_or_explained_in_a_document(options: type) -> None:
    """What nobody sets and nobody is told of would be a constant."""
    of_data, of_commands = {"channels", "categories", "prompt_owner"}, {"seed", "precision"}
    documents = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("paper.md", "training.md"))
    told = set(re.findall(r"`(\w+)(?: = [^`]+)?`|^    (\w+) = ", documents, flags=re.MULTILINE))
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in RECIPES.rglob("*.toml")]
    known = {name for pair in told for name in pair} | {*DEFAULT_MODEL, *DEFAULT_TRAINING}
    known |= {name for table in tables for part in ("model", "train") for name in table.get(part, {})}
    assert {field.name for field in fields(options)} <= known | of_data | of_commands


def test_a_variant_is_laid_over_a_recipe_and_its_prompts_can_go(tmp_path: Path) -> None:
    recipe = Recipe(tmp_path, model={"width": 8, "gate": "soft"}, prompts={"normal": ["a"], "x": ["b"]})
    changed = Variant("v", {"gate": "hard"}, {"lambda_gmm": 0.0}, prompts=False).of(recipe)
    assert changed.model == {"width": 8, "gate": "hard"}
    assert changed.train.lambda_gmm == 0.0
    assert changed.prompts == {}
    assert recipe.model["gate"] == "soft"


LONG = "1" + "0" * 400  # a whole number beyond every float


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[train]\nepochs = {LONG}", "too large"),
        ("[train]\nepochs = 0x" + "f" * 5000, "too large"),
        ("[train]\nseed = 99999999999", "seed"),
        ("[train]\nbatch = 9999999999", "batch"),
        ("[model]\nwidth = 9999999999", "width"),
        ("[data]\nfolds = -1", "folds"),
        ("[data]\nfolds = 100000000", "folds"),
        ("[data]\nvalidation_share = 1.0", "validation_share"),
        ("[data]\nvalidation_share = -0.5", "validation_share"),
        ("[events]\nalerts_per_hour = -1", "alerts_per_hour"),
        ('[prompts]\nfall = "A fall."', "prompts"),
        ("[prompts]\nfall = [1]", "prompts"),
        ("[prompts]\nfall = []", "prompts"),
        ("[prompts.fall]\nx = 1", "prompts"),
        ("[head]\nname = 5", "head"),
        ('[head]\nname = ["rtfm"]', "head"),
        ("[head]\nwidth = 8", "head"),
        ('[data]\nroot = "' + "a" * 5000 + '"', "data not found"),
        ('[data]\nroot = "a\\u0000b"', "data not found"),
        ("[data]\nx = 2026-11-28", "unknown key"),
    ],
)
def test_a_recipe_that_nothing_can_be_trained_by_is_one_sentence(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text.replace("[data]\n", '[data]\nroot = "."\n') if "root" not in text else text)
    if "[data]" not in text:
        path.write_text('[data]\nroot = "."\n' + text)
    with pytest.raises(InputError) as error:
        read_recipe(path)
    assert words in str(error.value)
    assert len(str(error.value)) < 3000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = 5", "model"),
        ("model = []", "model"),
        ("train = 'x'", "train"),
        ("head = 1.5", "head"),
        ("prompts = 1", "prompts"),
        ("[train]\nepoch = 5", "epoch"),
        ("[train]\nepochs = 'x'", "epochs"),
        (f"[train]\nepochs = {LONG}", "too large"),
        ("model = " + "[" * 5000, "TOML"),
        ("[other]\nx = 1", "other"),
    ],
)
def test_a_variant_that_is_none_is_one_sentence(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "v.toml").write_text(text)
    with pytest.raises(InputError, match=r"variant .*v\.toml") as error:
        read_variant(tmp_path / "v.toml")
    assert words in str(error.value)


def test_toml_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "large.toml").write_bytes(b"#" * (5 << 20))
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b"x = '\xe9'")
    for read in (read_recipe, read_variant):
        for name in ("large", "folder", "latin", "absent"):
            with pytest.raises(InputError, match=rf"{name}\.toml"):
                read(tmp_path / f"{name}.toml")
    with pytest.raises(InputError, match="/dev/zero holds more than"):  # without an end
        read_recipe(Path("/dev/zero"))


def test_paired_difference_by_hand() -> None:
    whole = [SeedRow(seed, 0.0, {"auc": value}, {}) for seed, value in enumerate([0.80, 0.82, 0.84])]
    ours = [SeedRow(seed, 0.0, {"auc": value}, {}) for seed, value in enumerate([0.79, 0.80, 0.81])]
    mean, half = paired(ours, whole, "auc") or (0.0, 0.0)
    # differences -0.01, -0.02, -0.03: deviation 0.01, standard error 0.01 / sqrt(3), t(2) = 4.303
    assert mean == pytest.approx(-0.02)
    assert half == pytest.approx(4.303 * 0.01 / 3**0.5)
    assert paired(ours, [], "auc") is None
