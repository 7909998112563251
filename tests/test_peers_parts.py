"""The heads' building blocks, segment by segment: against loops over one video, PyTorch's own layers, and by hand."""

import math

import pytest
import torch
from torch import nn

from cases import close
from peer_cases import CATEGORIES, CHANNELS, random_batch, small_head
from refinevad.errors import InputError
from refinevad.peers.attention import sinusoids
from refinevad.peers.bn_wvad import SegmentNorm
from refinevad.peers.choice import open_head
from refinevad.peers.gl_mhsa import GlobalLocalBlock
from refinevad.peers.rtfm import MultiScaleTemporalNetwork, NonLocal
from refinevad.peers.ur_dmu import Memory
from refinevad.peers.vadclip import GraphLayer, VadCLIP

SEGMENTS = 5


def video(width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(SEGMENTS, width, generator=torch.Generator().manual_seed(seed))


def whole(segments: int = SEGMENTS) -> torch.Tensor:
    return torch.ones(1, segments, dtype=torch.bool)


def test_sinusoids_by_hand() -> None:
    found = sinusoids(3, 4, torch.zeros(()))
    slow = 2 / 10_000 ** (2 / 4)
    assert found[2].tolist() == pytest.approx([math.sin(2), math.cos(2), math.sin(slow), math.cos(slow)])


def test_non_local_attention_is_a_sum_of_dot_products_over_the_segments() -> None:
    torch.manual_seed(0)
    block, x = NonLocal(6, 4), video(6)
    with torch.no_grad():
        reduced = torch.relu(block.reduce(x))
        query, key, value = block.query(reduced), block.key(reduced), block.value(reduced)
        for i in range(SEGMENTS):
            mixed = sum((query[i] @ key[j]) * value[j] for j in range(SEGMENTS)) / SEGMENTS
            close(block(x[None], whole())[0, i], (reduced[i] + block.out(mixed)).double().numpy())


def test_the_pyramid_reaches_four_segments_and_the_join_one_more() -> None:
    torch.manual_seed(0)
    network = MultiScaleTemporalNetwork(8)
    nn.init.zeros_(network.attention.reduce.weight)  # without attention the rest is local
    x = torch.randn(1, 21, 8)
    touched = x.clone()
    touched[0, 10] += 3.0
    moved = (network(touched, whole(21)) - network(x, whole(21)))[0].abs().amax(-1) > 1e-6
    places = moved.nonzero()[:, 0].tolist()
    assert (min(places), max(places)) == (5, 15)


def test_global_and_local_attention_loop_by_loop() -> None:
    torch.manual_seed(0)
    block, x = GlobalLocalBlock(4, 2, 0.0).eval(), video(4)
    with torch.no_grad():
        block.tau.copy_(torch.tensor([0.0, 1.3]))
        parts = block.project(block.norm(x)).view(SEGMENTS, 4, 2, 2)
        for i in range(SEGMENTS):
            answers = []
            for head in range(2):
                query, keys, values, near = parts[i, 0, head], parts[:, 1, head], parts[:, 2, head], parts[:, 3, head]
                weight = torch.tensor([math.exp(float(query @ keys[j]) / math.sqrt(2)) for j in range(SEGMENTS)])
                reach = math.exp(float(block.tau[head]))
                local = torch.tensor([math.exp(-abs(i - j) / reach) for j in range(SEGMENTS)])
                answers += [weight @ values / weight.sum(), local @ near / local.sum()]
            h = x[i] + block.out(torch.cat(answers))
            close(block(x[None], whole())[0, i], (h + block.feed_forward(h)).double().numpy())


def test_a_memory_by_hand() -> None:
    memory = Memory(2, 4)
    with torch.no_grad():
        memory.slots.copy_(torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, 4.0, 0.0, 0.0]]))
    known, reading = memory(torch.tensor([[[1.0, 1.0, 0.0, 0.0]]]))
    first, second = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-2))  # sigmoid of 2 / sqrt(4) and 4 / sqrt(4)
    assert known.item() == pytest.approx(second)
    assert reading[0, 0].tolist() == pytest.approx([2 * first, 4 * second, 0.0, 0.0])


def test_ur_dmu_samples_in_training_only() -> None:
    head = small_head("ur_dmu")
    values, mask = random_batch([4], 0)
    assert not torch.equal(head.train()(values, mask).logits, head(values, mask).logits)
    assert torch.equal(head.eval()(values, mask).logits, head(values, mask).logits)


def test_segment_norm_is_batch_norm_of_the_real_segments() -> None:
    values, mask = random_batch([4, 1, 6], 0, beyond=2)
    ours, theirs = SegmentNorm(CHANNELS), nn.BatchNorm1d(CHANNELS)
    for _ in range(3):
        normal, _ = ours(values, mask)
        close(normal[mask], theirs(values[mask]).detach().double().numpy())
    close(ours.running_mean, theirs.running_mean.double().numpy())
    close(ours.running_variance, theirs.running_var.double().numpy())
    normal, _ = ours.eval()(values, mask)
    close(normal[mask], theirs.eval()(values[mask]).detach().double().numpy())


def test_divergence_is_a_mahalanobis_distance_to_the_running_mean() -> None:
    norm = SegmentNorm(2).eval()
    norm.running_mean.copy_(torch.tensor([1.0, -1.0]))
    norm.running_variance.copy_(torch.tensor([4.0, 0.25]))
    _, distance = norm(torch.tensor([[[7.0, 1.0], [9.0, 9.0]]]), torch.tensor([[True, False]]))
    assert distance[0].tolist() == pytest.approx([5.0, 0.0], abs=1e-4)  # 6 / 2 and 2 / 0.5: 3 and 4


def test_a_batch_of_one_segment_is_normalised_by_the_running_statistics() -> None:
    norm = SegmentNorm(2).train()
    normal, _ = norm(torch.tensor([[[3.0, -2.0]]]), torch.tensor([[True]]))
    assert normal[0, 0].tolist() == pytest.approx([3.0, -2.0], rel=1e-4)
    assert norm.running_mean.tolist() == [0.0, 0.0]


def test_bn_wvad_scores_keep_the_order_of_classifier_times_divergence() -> None:
    head = small_head("bn_wvad").eval()
    values, mask = random_batch([5, 3], 0)
    output = head(values, mask)
    product = torch.sigmoid(output.class_logits) * output.divergence.sum(0)
    close(output.scores[mask], (product / (1 + product))[mask].detach().double().numpy())


def test_the_graph_loop_by_loop() -> None:
    torch.manual_seed(0)
    graph, x = GraphLayer(4, 2.0), video(4)
    x[3] = x[1] * 1.5  # two segments of cosine 1: neighbours
    with torch.no_grad():
        for i in range(SEGMENTS):
            cosine = [float(torch.cosine_similarity(x[i], x[j], dim=0)) for j in range(SEGMENTS)]
            similar = torch.tensor([math.exp(c) if c > 0.7 or i == j else 0.0 for j, c in enumerate(cosine)])
            near = torch.tensor([math.exp(-abs(i - j) / 2.0) for j in range(SEGMENTS)])
            both = torch.cat([similar @ x / similar.sum(), near @ x / near.sum()])
            expected = x[i] + nn.functional.gelu(graph.weight(both))
            close(graph(x[None], whole())[0, i], expected.double().numpy())


def vadclip(**options: object) -> VadCLIP:
    head = open_head("vadclip", CHANNELS, CATEGORIES, width=8, heads=2, dropout=0.0, **options)
    assert isinstance(head, VadCLIP)
    return head.eval()


def test_a_window_is_as_wide_as_it_says() -> None:
    visible = vadclip(window=2).visible(torch.tensor([[True, True, True, False]]))[0]
    assert visible.int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]]


def test_the_alignment_branch_scores_what_is_not_normal() -> None:
    values, mask = random_batch([4], 0)
    torch.manual_seed(0)
    output = vadclip(branch="alignment")(values, mask)
    share = (output.alignment / 0.07).softmax(-1)
    close(output.scores, (1 - share[..., 0]).detach().double().numpy())
    assert output.category_logits is not None
    close(output.category_logits, (share[..., 1:] / share[..., :1]).log().detach().double().numpy(), 1e-4)


def test_given_class_embeddings_are_used_and_kept() -> None:
    text = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    plain, prompted = vadclip(text_channels=5, prompts=0), vadclip(text_channels=5)
    plain.fit_text(text)
    close(plain.classes(), plain.classes.project(text).detach().double().numpy())
    same = vadclip(text_channels=8, prompts=0)
    same.fit_text(torch.eye(3, 8))
    assert torch.equal(same.classes(), torch.eye(3, 8))
    prompted.fit_text(text)
    assert not torch.equal(prompted.classes(), prompted.classes.project(text))
    assert torch.equal(prompted.state_dict()["classes.text"], text)


@pytest.mark.parametrize(("channels", "shape"), [(5, (2, 5)), (5, (3, 4)), (0, (3, 5))])
def test_class_embeddings_of_another_shape_are_refused(channels: int, shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="class embeddings of shape"):
        vadclip(text_channels=channels).fit_text(torch.zeros(shape))
