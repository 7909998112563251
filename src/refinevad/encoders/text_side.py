"""The half of a two-sided network that reads sentences."""

from typing import Any

import numpy as np
import torch

from refinevad.encoders import hub
from refinevad.encoders.words import Words


class TextSide:
    """The half of a two-sided model that reads sentences: CLIP's, SigLIP's or CLAP's.

    Raises:
        InputError: the model at `source` has no such half.
    """

    def __init__(self, model_class: str, source: str, what: str, scale: str = "logit_scale") -> None:
        library = hub.transformers(what)
        self._model = hub.pretrained(getattr(library, model_class), source, f"the text side of {what}")
        self._tokenizer = hub.companion(library.AutoTokenizer, source, f"the text side of {what}")
        self._longest = int(self._model.config.text_config.max_position_embeddings)
        # SigLIP was trained on sentences filled up to its length
        self._padding: Any = "max_length" if model_class.startswith("Siglip") else True
        if model_class.startswith("Clap"):
            self._longest -= 2  # RoBERTa counts positions from 2 on
        self._scale = float(getattr(self._model, scale).detach().exp())

    @torch.inference_mode()
    def read(self, sentences: list[str]) -> Words:
        """Vectors of sentences; one that is too long is cut."""
        tokens = self._tokenizer(
            sentences, padding=self._padding, truncation=True, max_length=self._longest, return_tensors="pt"
        )
        given = {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}
        if self._padding == "max_length":
            given.pop("attention_mask", None)
        found = self._model.get_text_features(**given)
        found = getattr(found, "pooler_output", found)  # older versions gave the tensor itself
        unit = torch.nn.functional.normalize(found.float(), dim=1)
        return Words(np.asarray(unit.numpy()), self._scale, same_space=False)
