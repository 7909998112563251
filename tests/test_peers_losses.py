"""Each term of each head's loss against values worked out by hand, on outputs a few segments long."""

import math
from typing import Any

import pytest
import torch

from peer_cases import CATEGORIES, CHANNELS, SMALL
from refinevad.peers.base import Head, HeadOutput
from refinevad.peers.bn_wvad import BNWVADConfig, BNWVADOutput, pull_push_loss, selected
from refinevad.peers.choice import open_head
from refinevad.peers.rtfm import RTFMOutput
from refinevad.peers.selection import mean_over, pairwise_hinge, smoothness, top_segments
from refinevad.peers.ur_dmu import URDMUOutput
from refinevad.peers.vadclip import VadCLIPOutput
from refinevad.top_k import bag_sizes

# one anomalous video of two segments, one normal one of three
LABELS = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
MASK = torch.tensor([[True, True, False], [True, True, True]])


def head_of(name: str, **options: Any) -> Head[Any]:
    return open_head(name, CHANNELS, CATEGORIES, **{**SMALL[name], **options})


def logits(scores: list[list[float]]) -> torch.Tensor:
    return torch.logit(torch.tensor(scores))


def values(terms: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(term) for name, term in terms.items()}


def test_k_is_three_of_rtfms_32_segments_and_13_of_ur_dmus_200() -> None:
    mask = torch.arange(200)[None] < torch.tensor([1, 15, 16, 32, 200])[:, None]
    assert bag_sizes(mask, 16).tolist() == [1, 1, 2, 3, 13]
    assert bag_sizes(mask[:2], 1).tolist() == [1, 15]  # never more than there are


def test_top_segments_leave_padding_out_and_take_the_earlier_of_equals() -> None:
    criterion = torch.tensor([[1.0, 5.0, 9.0], [2.0, 3.0, 3.0]])
    chosen = top_segments(criterion, MASK, torch.tensor([1, 1]))
    assert chosen.tolist() == [[False, True, False], [False, True, False]]
    assert mean_over(criterion, chosen).tolist() == [5.0, 3.0]
    assert mean_over(criterion, torch.zeros_like(MASK)).tolist() == [0.0, 0.0]


def test_smoothness_ends_where_the_video_does() -> None:
    assert smoothness(torch.tensor([[1.0, 3.0, 9.0], [1.0, 2.0, 5.0]]), MASK).tolist() == [4.0, 10.0]


def test_pairwise_hinge_is_over_all_pairs() -> None:
    found = pairwise_hinge(torch.tensor([4.0, 1.0]), torch.tensor([2.0]), 1.0)
    assert float(found) == pytest.approx((0.0 + 2.0) / 2)


def test_sultani() -> None:
    output = HeadOutput(logits([[0.2, 0.9, 0.5], [0.4, 0.1, 0.3]]), None)
    assert values(head_of("sultani").loss(output, LABELS, MASK)) == pytest.approx(
        {
            "ranking": 1 - 0.9 + 0.4,
            "sparsity": 8e-5 * (0.2 + 0.9) * 32 / 2,  # as in a bag of 32
            "smoothness": 8e-5 * 0.7**2 * 32 / 2,
        },
        abs=1e-8,
    )


def test_rtfm() -> None:
    output = RTFMOutput(
        logits([[0.8, 0.1, 0.5], [0.4, 0.3, 0.9]]), None, torch.tensor([[10.0, 6.0, 0.0], [1.0, 2.0, 1.5]])
    )
    # the segments of largest norm speak: 0.8 of the anomalous video, 0.3 of the normal one
    assert values(head_of("rtfm").loss(output, LABELS, MASK)) == pytest.approx(
        {
            "mil": -(math.log(0.8) + math.log(0.7)) / 2,
            "magnitude": 0.01 * (100 - 10 + 2),
            "sparsity": 8e-5 * 0.45 * 32,
            "smoothness": 8e-5 * 0.7**2 * 16,
        },
        rel=1e-5,
    )


def ur_dmu_output() -> URDMUOutput:
    """Known to the normal memory, to the abnormal one, what each returns, and a Gaussian away from N(0, 1)."""
    return URDMUOutput(
        logits([[0.2, 0.9, 0.5], [0.4, 0.1, 0.3]]),
        None,
        torch.tensor([[0.3, 0.7, 0.9], [0.9, 0.6, 0.5]]),
        torch.tensor([[0.5, 0.1, 0.9], [0.2, 0.4, 0.3]]),
        torch.tensor([[[9.0, 9.0], [0.0, 2.0], [8.0, 8.0]], [[3.0, 4.0], [1.0, 0.0], [1.0, 0.0]]]),
        torch.tensor([[[5.0, 0.0], [0.0, 7.0], [8.0, 8.0]], [[1.0, 1.0]] * 3]),
        torch.tensor([[[50.0, 50.0]] * 3, [[1.0, 0.0]] * 3]),
        torch.tensor([[[2.0, 2.0]] * 3, [[0.0, math.log(4.0)]] * 3]),
        torch.tensor([[7.0, 3.0, 0.0], [2.0, 1.0, 1.0]]),
    )


def test_ur_dmu() -> None:
    known = -sum(math.log(p) for p in (0.9, 0.6, 0.5)) / 3
    unknown = -sum(math.log(1 - p) for p in (0.2, 0.4, 0.3)) / 3
    # anchor (3, 4) / 5, positive (0, 2) / 2 where the normal memory knows best, negative (5, 0) / 5
    to_positive, to_negative = math.hypot(0.6, 0.2), math.hypot(0.4, 0.8)
    assert values(head_of("ur_dmu").loss(ur_dmu_output(), LABELS, MASK)) == pytest.approx(
        {
            "mil": -(math.log(0.9) + math.log(0.6)) / 2,
            "dual_memory": 0.1 * (known + unknown - math.log(0.7) - math.log(0.5)),
            "triplet": 0.1 * (to_positive - to_negative + 1),
            "kl": 1e-3 * 0.5 * ((1 + 1 - 1 - 0) + (0 + 4 - 1 - math.log(4.0))),
            "magnitude": 1e-4 * (100 - 7 + 2),
        },
        rel=1e-5,
    )


BN = BNWVADConfig(CHANNELS, CATEGORIES, sample_share=0.5, batch_share=0.5, margin=3.0)


def test_bn_wvad_selects_by_video_and_by_batch() -> None:
    divergence = torch.tensor([[3.0, 1.0], [9.0, 8.0]])
    # half of each video: 3 and 9; half of the batch: 9 and 8
    assert selected(divergence, torch.ones(2, 2, dtype=torch.bool), BN).tolist() == [9.0, 8.0, 3.0]


def test_bn_wvad_pulls_and_pushes_by_rank() -> None:
    divergence = torch.tensor([[3.0, 1.0], [9.0, 8.0], [6.0, 2.0], [4.5, 1.0]])
    anomalous = torch.tensor([True, True, False, False])
    # normal 6, 4.5 against anomalous 9, 8; the 3 has no partner
    found = pull_push_loss(divergence, anomalous, torch.ones(4, 2, dtype=torch.bool), BN)
    assert float(found) == pytest.approx(((3 + 6 - 9) + 0) / 2)
    wide = BNWVADConfig(CHANNELS, CATEGORIES, sample_share=0.5, batch_share=0.5, margin=5.0)
    found = pull_push_loss(divergence, anomalous, torch.ones(4, 2, dtype=torch.bool), wide)
    assert float(found) == pytest.approx(((5 + 6 - 9) + (5 + 4.5 - 8)) / 2)


def test_bn_wvad() -> None:
    divergence = torch.tensor([[[2.0, 1.0, 0.0], [1.5, 1.0, 1.0]], [[5.0, 1.0, 0.0], [4.5, 1.0, 1.0]]])
    output = BNWVADOutput(torch.zeros(2, 3), None, logits([[0.9, 0.9, 0.5], [0.6, 0.8, 0.5]]), divergence)
    head = head_of("bn_wvad", batch_share=0.1)
    # 10 % of 2 or 3 segments is one each, of each video and of the batch
    assert values(head.loss(output, LABELS, MASK)) == pytest.approx(
        {
            "normal": math.sqrt(200 * (0.36 + 0.64 + 0.25) / 3),
            "first_mpp": 5 * (1 + 1.5 - 2),
            "second_mpp": 20 * (1 + 4.5 - 5),
        },
        rel=1e-5,
    )


def vadclip_output() -> VadCLIPOutput:
    alignment = torch.tensor([[[0.1, 0.2, 0.7], [0.4, 0.0, 0.3], [0.9, 0.9, 0.9]], [[0.5, 0.1, 0.2]] * 3])
    classes = torch.tensor([[2.0, 0.0], [3.0, 3.0], [-1.0, 0.0]])
    return VadCLIPOutput(
        torch.zeros(2, 3), torch.zeros(2, 3, 2), logits([[0.2, 0.9, 0.5], [0.4, 0.1, 0.3]]), alignment, classes
    )


def log_share(similarities: list[float], place: int) -> float:
    return similarities[place] - math.log(sum(math.exp(s) for s in similarities))


def test_vadclip() -> None:
    # the largest similarity of each class over real segments: normal 0.4, a 0.2, b 0.7
    align = -(log_share([0.4, 0.2, 0.7], 2) + log_share([0.5, 0.1, 0.2], 0)) / 2
    head = head_of("vadclip", temperature=1.0)
    assert values(head.loss(vadclip_output(), LABELS, MASK)) == pytest.approx(
        {
            "mil": -(math.log(0.9) + math.log(0.6)) / 2,
            "align": align,
            "contrast": 0.1 * math.sqrt(0.5),  # the opposite class, cosine -1, costs nothing
        },
        rel=1e-5,
    )


def test_vadclip_shares_several_labels_equally_and_scales_by_temperature() -> None:
    head = head_of("vadclip", temperature=0.5)
    labels = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    first = -(log_share([0.8, 0.4, 1.4], 1) + log_share([0.8, 0.4, 1.4], 2)) / 2
    found = float(head.loss(vadclip_output(), labels, MASK)["align"])
    assert found == pytest.approx((first - log_share([1.0, 0.2, 0.4], 0)) / 2, rel=1e-5)


def test_transformer_mil() -> None:
    output = HeadOutput(torch.tensor([[2.0, -1.0, 9.0], [-3.0, 1.0, 0.0]]), None)
    expected = (math.log1p(math.exp(-2.0)) + math.log1p(math.exp(1.0))) / 2
    assert values(head_of("transformer_mil").loss(output, LABELS, MASK)) == pytest.approx({"mil": expected}, rel=1e-5)


def test_terms_that_compare_are_0_where_there_is_nothing_to_compare() -> None:
    for labels in (torch.zeros(2, 2), torch.ones(2, 2)):
        terms = values(head_of("ur_dmu").loss(ur_dmu_output(), labels, MASK))
        assert (terms["triplet"], terms["magnitude"]) == (0.0, 0.0)
