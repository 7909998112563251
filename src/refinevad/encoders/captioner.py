"""Frames -> sentences, by any image or video language model that transformers loads as image-text-to-text.

SmolVLM2, Qwen-VL, InternVL, LLaVA and others; a window's frames are given as so many images of one message. The
answer is the likeliest one, word by word, so that the same window gives the same sentence.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from refinevad.encoders import hub
from refinevad.encoders.base import EncoderIdentity
from refinevad.encoders.caption_windows import FrameWindow
from refinevad.encoders.weights import state_sha256
from refinevad.errors import InputError
from refinevad.machine.devices import open_device

PROMPTS = (
    "These are frames of one short stretch of a surveillance video, in order. "
    "Say in one sentence what happens in it: who or what moves, and what they do.",
)
WORDS = 48  # the longest answer, in tokens


class Captioner:
    """A frozen language model that sees.

    Args:
        source: hub id or folder.
        prompts: each is asked of every window.
        tokens: the longest answer.
        device: where it runs; None: CUDA where there is one, there in bfloat16.
        trust_remote_code: run the Python code that lies beside the weights. Only for a model whose authors you trust as
            you trust a program.

    Raises:
        InputError: transformers or Pillow is missing, there is no such model, or it needs a package that is not here.
    """

    def __init__(
        self,
        source: str,
        prompts: Sequence[str] = PROMPTS,
        tokens: int = WORDS,
        device: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        if not prompts:
            raise InputError("a captioner needs at least one prompt")
        library = hub.transformers("captioned")
        self.source, self.prompts, self.tokens = source, tuple(prompts), tokens
        self.device = open_device(device)
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        trusted = {"trust_remote_code": trust_remote_code}
        self._processor = hub.companion(library.AutoProcessor, source, "a captioner's processor", **trusted)
        network = hub.pretrained(library.AutoModelForImageTextToText, source, "a captioner", dtype=dtype, **trusted)
        self._network = network.to(self.device)
        tokenizer = getattr(self._processor, "tokenizer", self._processor)
        tokenizer.padding_side = "left"  # answers go on where the question ends
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token

    @cached_property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity(
            "captioner", state_sha256(self._network), {"prompts": list(self.prompts), "tokens": self.tokens}
        )

    def describe(self, windows: Sequence[FrameWindow]) -> list[list[str]]:
        """For each window an answer to each prompt, whitespace made single; an answer may be empty."""
        told: list[list[str]] = [[] for _ in windows]
        for prompt in self.prompts:
            for place, answer in enumerate(self._answers(windows, prompt)):
                told[place].append(" ".join(answer.split()))
        return told

    @torch.inference_mode()
    def _answers(self, windows: Sequence[FrameWindow], prompt: str) -> list[str]:
        if not windows:
            return []
        image: Any = hub.pillow_image()
        pictures = [[image.fromarray(frame) for frame in window.frames] for window in windows]
        questions = [self._question(prompt, len(frames)) for frames in pictures]
        asked = self._processor(text=questions, images=pictures, padding=True, return_tensors="pt")
        inputs = {
            name: value.to(self.device, self._network.dtype if value.is_floating_point() else None)
            for name, value in asked.items()
            if isinstance(value, torch.Tensor)
        }
        with hub.quiet():
            answer = self._network.generate(**inputs, max_new_tokens=self.tokens, do_sample=False)
        told: list[str] = self._processor.batch_decode(
            answer[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return told

    def _question(self, prompt: str, images: int) -> str:
        """The prompt as the model was taught to be asked; plainly, where it says no way."""
        if getattr(self._processor, "chat_template", None):
            content = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": prompt}]
            asked: str = self._processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
            return asked
        mark = getattr(self._processor, "image_token", "<image>")
        return f"{mark * images}\n{prompt}\n"
