"""Sentences in the space of an encoder's vectors, for encoders that were trained with words."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from refinevad.errors import InputError

SENTENCES_SCALE = 20.0  # what sentence encoders are trained with


@dataclass(frozen=True)
class Words:
    """Unit vectors of sentences, to be compared by cosine with an encoder's vectors.

    Attributes:
        scale: what a cosine is multiplied by before a softmax, as the model learnt it.
        same_space: whether a sentence lies where what it describes lies. Those of CLIP and its kind do not: all
            sentences lie apart from all pictures, and only the order of likenesses tells.
    """

    vectors: Float32[np.ndarray, "sentence channel"]
    scale: float
    same_space: bool


def no_words(name: str) -> InputError:
    """What is raised by an encoder that cannot read."""
    return InputError(
        f"encoder '{name}' was not trained with words; sentences need clip:, siglip:, captions, captioned:, or audio: "
        "of CLAP, alone and without other pooling than the mean"
    )
