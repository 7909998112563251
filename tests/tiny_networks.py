"""Networks of transformers with random weights, so small that a test saves, loads and asks one in a moment.

Each is saved as a hub's folder is: weights, settings, and what goes with them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="the extra `words` is not installed")
pytest.importorskip("PIL", reason="the extra `words` is not installed")
tokenizers = pytest.importorskip("tokenizers")

SIDE, PATCH, WIDTH = 32, 8, 16
WORDS = [
    *("<pad>", "<s>", "</s>", "<unk>", "<image>", "a", "man", "walks", "runs", "falls", "the", "street"),
    *("car", "fire", "smoke", ".", "person", "lying", "on", "floor"),
]
_LAYERS = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
_PICTURE = {**_LAYERS, "image_size": SIDE, "patch_size": PATCH}
_SIZES = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
_SPOKEN = {**_LAYERS, "vocab_size": len(WORDS), "max_position_embeddings": 16, "bos_token_id": 1, "eos_token_id": 2}
_TEXT = {**_SPOKEN, "pad_token_id": 0}


def tokenizer(**special: Any) -> Any:
    """Words between blanks; those that it does not know are one."""
    model = tokenizers.models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>")
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=512, **names, **special)


def clip(folder: Path) -> None:
    text = transformers.CLIPTextConfig(**_TEXT, projection_dim=12)
    vision = transformers.CLIPVisionConfig(**_PICTURE, projection_dim=12)
    config = transformers.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=12)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessorPil(**_SIZES).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def siglip(folder: Path) -> None:
    text = transformers.SiglipTextConfig(**{**_TEXT, "projection_size": WIDTH})
    config = transformers.SiglipConfig(
        text_config=text.to_dict(), vision_config=transformers.SiglipVisionConfig(**_PICTURE).to_dict()
    )
    transformers.SiglipModel(config).save_pretrained(folder)
    transformers.SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def dino(folder: Path) -> None:
    transformers.Dinov2Model(transformers.Dinov2Config(**_PICTURE)).save_pretrained(folder)
    sizes = {"size": {"shortest_edge": 40}, "crop_size": {"height": SIDE, "width": SIDE}}
    transformers.BitImageProcessorPil(**sizes, image_mean=[0.485, 0.456, 0.406]).save_pretrained(folder)


def videomae(folder: Path) -> None:
    config = transformers.VideoMAEConfig(**_PICTURE, num_frames=4, tubelet_size=2)
    transformers.VideoMAEModel(config).save_pretrained(folder)
    transformers.VideoMAEImageProcessorPil(**_SIZES).save_pretrained(folder)


def timesformer(folder: Path) -> None:
    transformers.TimesformerModel(transformers.TimesformerConfig(**_PICTURE, num_frames=4)).save_pretrained(folder)
    transformers.VideoMAEImageProcessorPil(**_SIZES).save_pretrained(folder)


def xclip(folder: Path) -> None:
    vision = transformers.XCLIPVisionConfig(
        **_PICTURE, num_frames=4, mit_hidden_size=WIDTH, mit_intermediate_size=32, mit_num_attention_heads=2
    )
    config = transformers.XCLIPConfig(
        text_config=transformers.XCLIPTextConfig(**_TEXT).to_dict(),
        vision_config=vision.to_dict(),
        projection_dim=WIDTH,
        prompt_num_attention_heads=2,
    )
    transformers.XCLIPModel(config).save_pretrained(folder)
    transformers.VideoMAEImageProcessorPil(**_SIZES).save_pretrained(folder)


def vjepa2(folder: Path) -> None:
    config = transformers.VJEPA2Config(
        patch_size=PATCH,
        crop_size=SIDE,
        frames_per_clip=4,
        tubelet_size=2,
        hidden_size=24,
        num_attention_heads=2,
        num_hidden_layers=1,
        mlp_ratio=1.0,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    )
    transformers.VJEPA2Model(config).save_pretrained(folder)
    # as its own processor writes it, which needs torchvision
    (folder / "video_preprocessor_config.json").write_text('{"crop_size": {"height": 32, "width": 32}}')


def ast(folder: Path) -> None:
    config = transformers.ASTConfig(**_LAYERS, max_length=256, num_mel_bins=16, frequency_stride=8, time_stride=8)
    transformers.ASTModel(config).save_pretrained(folder)
    transformers.ASTFeatureExtractor(num_mel_bins=16, max_length=256).save_pretrained(folder)


def clap(folder: Path, fusion: bool = False) -> None:
    audio = transformers.ClapAudioConfig(
        spec_size=128,
        num_mel_bins=64,
        patch_size=4,
        patch_stride=[4, 4],
        enable_fusion=fusion,
        window_size=4,
        depths=[1, 1],
        num_attention_heads=[2, 2],
        patch_embeds_hidden_size=8,
        hidden_size=16,
        num_classes=2,
    )
    text = transformers.ClapTextConfig(**{**_TEXT, "max_position_embeddings": 32}, projection_dim=12)
    config = transformers.ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=12)
    transformers.ClapModel(config).save_pretrained(folder)
    truncation = "fusion" if fusion else "rand_trunc"
    extractor = transformers.ClapFeatureExtractor(sampling_rate=48000, max_length_s=2, truncation=truncation)
    extractor.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def captioner(folder: Path) -> None:
    """A LLaVA that says words at random, though the same of the same frames."""
    vision = transformers.CLIPVisionConfig(**{**_PICTURE, "image_size": 16})
    spoken = transformers.LlamaConfig(
        **{**_TEXT, "max_position_embeddings": 512}, num_key_value_heads=2, initializer_range=0.5
    )
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=spoken, image_token_id=4, image_token_index=4, vision_feature_layer=-1
    )
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    transformers.LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer(additional_special_tokens=["<image>"]),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
    ).save_pretrained(folder)


def sentences(folder: Path) -> None:
    """A sentence encoder of two layers."""
    transformers.BertModel(transformers.BertConfig(**_TEXT)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


FAMILIES: dict[str, tuple[str, Callable[[Path], None]]] = {  # the encoder's word, and what saves such a network
    "clip": ("clip", clip),
    "siglip": ("siglip", siglip),
    "dino": ("dino", dino),
    "videomae": ("video", videomae),
    "timesformer": ("video", timesformer),
    "xclip": ("video", xclip),
    "vjepa2": ("video", vjepa2),
    "ast": ("audio", ast),
    "clap": ("audio", clap),
}


def saved(folder: Path, make: Callable[[Path], None], seed: int = 0) -> Path:
    """The folder with such a network in it, the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    bars = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    make(folder)
    if bars:
        transformers.utils.logging.enable_progress_bar()
    return folder
