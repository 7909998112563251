"""RefineVAD loop by loop, in float64 NumPy and without torch: the slow oracle that the fast path must equal.

Written from the method, one video at a time, so that it knows no padding and no batch: whatever the fast path
does with a mask, it must come out as if the mask were not there. It reads as the equations of docs/paper.md do,
in their order. Inputs are arrays: the weights by their names in the state dict, the options as a mapping.

To extend it: add the option's name to OPTIONS, and its loop where it acts. tests/test_model.py holds OPTIONS and
WITHOUT_ORACLE together equal to the model's options.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]
Options = Mapping[str, Any]

# the options of RefineVADConfig that this file follows
OPTIONS = {
    "channels", "categories", "inputs", "width", "gate", "folding", "gate_temperature", "layers", "heads", "dropout",
    "positions", "topology", "weights", "category_temperature", "label_injection", "segment_posterior", "smoothing",
    "direct", "head_weight", "centre_head", "prompt_owner", "input_clip",
    "shift_layers", "ridge", "direct_smoothing", "refined_smoothing",
}  # fmt: skip
# those that act on finished logits, in scores.py, and are tested there
WITHOUT_ORACLE = {"merge_runs", "empty", "relative_smoothing", "video_weight"}

VARIANCE_FLOOR = 1e-6
FIXED_RATIO = 0.5
LAYER_NORM_EPSILON = 1e-5
LAST_BUCKET = 12
SMALLEST_SHARE = 1e-6
SMALLEST_ATTENTION = 1e-9


@dataclass(frozen=True)
class Result:
    """All that the model says of one video of T segments, as the fast path's Output names it."""

    logits: Array
    scores: Array
    coarse: Array
    category_logits: Array
    presence: Array
    mixture: Array
    segment_logits: Array
    category_scores: Array
    shift_ratio: Array
    embedding: Array
    refined: Array
    evidence: Array
    video_evidence: Array


# --- arithmetic -------------------------------------------------------------------------------------------------


def sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0 else math.exp(value) / (1.0 + math.exp(value))


def log_sigmoid(value: float) -> float:
    return min(value, 0.0) - math.log1p(math.exp(-abs(value)))


def gelu(value: float) -> float:
    return 0.5 * value * (1.0 + math.erf(value / math.sqrt(2.0)))


def softmax(values: Sequence[float]) -> list[float]:
    largest = max(values)
    powers = [math.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


def linear(weights: Weights, name: str, vector: Sequence[float]) -> list[float]:
    result = []
    for row, bias in zip(weights[f"{name}.weight"].tolist(), weights[f"{name}.bias"].tolist(), strict=True):
        total = bias
        for weight, value in zip(row, vector, strict=True):
            total += weight * value
        result.append(total)
    return result


def layer_norm(weights: Weights, name: str, vector: Sequence[float]) -> list[float]:
    mean = sum(vector) / len(vector)
    variance = sum((value - mean) ** 2 for value in vector) / len(vector)
    scale, shift = weights[f"{name}.weight"].tolist(), weights[f"{name}.bias"].tolist()
    root = math.sqrt(variance + LAYER_NORM_EPSILON)
    return [(value - mean) / root * a + b for value, a, b in zip(vector, scale, shift, strict=True)]


def attend(
    query: Sequence[float],
    keys: Sequence[Sequence[float]],
    values: Sequence[Sequence[float]],
    biases: Sequence[float] | None = None,
) -> list[float]:
    """One query's answer: softmax(query . key / sqrt(size) + bias) over the keys, times their values."""
    similarity = []
    for place, key in enumerate(keys):
        dot = sum(q * k for q, k in zip(query, key, strict=True)) / math.sqrt(len(query))
        similarity.append(dot + (biases[place] if biases is not None else 0.0))
    share = softmax(similarity)
    answer = [0.0] * len(values[0])
    for weight, value in zip(share, values, strict=True):
        for channel, number in enumerate(value):
            answer[channel] += weight * number
    return answer


# --- MoTAR ------------------------------------------------------------------------------------------------------


def selected(x: Array, options: Options) -> list[list[float]]:
    """The channels the model looks at: all, or those of its ranges."""
    spans = options["inputs"] or [(0, options["channels"])]
    return [[row[c] for first, last in spans for c in range(first, last)] for row in x.astype(np.float64).tolist()]


def standardise(x: Array, weights: Weights, options: Options) -> list[list[float]]:
    mean, scale = weights["input_mean"].tolist(), weights["input_scale"].tolist()
    clip = options["input_clip"] or math.inf
    return [
        [min(max((v - m) / s, -clip), clip) for v, m, s in zip(row, mean, scale, strict=True)]
        for row in selected(x, options)
    ]


def motion(x: Sequence[Sequence[float]]) -> list[float]:
    """log v_t: v_t = Var over channels of x_t - x_{t-1}. Segment 0 has no step: it takes segment 1's; alone, 0."""
    variances = []
    for t in range(len(x)):
        here = t if t > 0 else 1
        if here >= len(x):
            variances.append(0.0)
            continue
        step = [x[here][c] - x[here - 1][c] for c in range(len(x[0]))]
        mean = sum(step) / len(step)
        variances.append(sum((value - mean) ** 2 for value in step) / len(step))
    return [math.log(variance + VARIANCE_FLOOR) for variance in variances]


def shift_ratio(x: Sequence[Sequence[float]], weights: Weights, options: Options, name: str = "motar") -> list[float]:
    """r_t = sigmoid(W3 gelu(W2 gelu(W1 v_t))), v_t as its standardised logarithm."""
    if options["gate"] == "none":
        return [0.0] * len(x)
    if options["gate"] == "fixed":
        return [FIXED_RATIO] * len(x)
    ratios = []
    for value in motion(x):
        standard = (value - float(weights[f"{name}.motion_mean"])) / float(weights[f"{name}.motion_scale"])
        first = [gelu(v) for v in linear(weights, f"{name}.ratio.0", [standard])]
        second = [gelu(v) for v in linear(weights, f"{name}.ratio.2", first)]
        ratios.append(sigmoid(linear(weights, f"{name}.ratio.4", second)[0]))
    return ratios


def shift(x: Sequence[Sequence[float]], ratios: Sequence[float], options: Options) -> list[list[float]]:
    """y_t = [x_{t-1}[0:s], x_{t+1}[s:2s], x_t[2s:D]], s = floor(r_t D / K), or its soft reading by channel."""
    if options["gate"] == "none":
        return [list(row) for row in x]
    segments, channels = len(x), len(x[0])
    shifted = []
    for t in range(segments):
        before, after = x[t - 1] if t > 0 else x[t], x[t + 1] if t + 1 < segments else x[t]
        reach = ratios[t] * channels / options["folding"]
        if options["gate"] in ("hard", "fixed"):
            s = math.floor(reach)
            shifted.append([*before[:s], *after[s : 2 * s], *x[t][2 * s :]])
            continue
        row = []
        for c in range(channels):
            # hard: c is borrowed from before where s >= c + 1, from either side where 2 s >= c + 1, that is
            # s >= c // 2 + 1; soft: a sigmoid stands for each comparison, s without its floor
            past = sigmoid((reach - (c + 1)) / options["gate_temperature"])
            either = sigmoid((reach - (c // 2 + 1)) / options["gate_temperature"])
            row.append(past * before[c] + (either - past) * after[c] + (1.0 - either) * x[t][c])
        shifted.append(row)
    return shifted


def shift_layer(
    h: list[list[float]], weights: Weights, name: str, options: Options
) -> tuple[list[list[float]], list[float]]:
    """h + gelu(W shift(norm(h)) + b), and r_t."""
    content = [layer_norm(weights, f"{name}.norm", row) for row in h]
    ratios = shift_ratio(content, weights, options, f"{name}.shift")
    told = [[gelu(v) for v in linear(weights, f"{name}.linear", row)] for row in shift(content, ratios, options)]
    return [[a + b for a, b in zip(row, more, strict=True)] for row, more in zip(h, told, strict=True)], ratios


def refine(standard: list[list[float]], weights: Weights, options: Options) -> tuple[list[list[float]], list[float]]:
    """MoTAR, on raw channels or in layers behind the projection, and the light Transformer: (h, r_t)."""
    if options["shift_layers"]:
        h = [[gelu(value) for value in linear(weights, "project.1", row)] for row in standard]
        answers = []
        for layer in range(options["shift_layers"]):
            h, of_layer = shift_layer(h, weights, f"shifts.{layer}", options)
            answers.append(of_layer)
        ratios = [sum(column) / len(column) for column in zip(*answers, strict=True)]
    else:
        ratios = shift_ratio(standard, weights, options)
        h = [linear(weights, "project.1", row) for row in shift(standard, ratios, options)]
    for layer in range(options["layers"]):
        h = encoder_block(h, weights, f"encoder.{layer}", options)
    return h, ratios


def bucket(distance: int) -> int:
    """Signed distance in segments -> place in the table of biases: sign times bit length, at most 12."""
    length = 0
    while length < LAST_BUCKET and abs(distance) >= 2**length:
        length += 1
    return LAST_BUCKET + (length if distance > 0 else -length)


def encoder_block(h: list[list[float]], weights: Weights, name: str, options: Options) -> list[list[float]]:
    """h + attention(norm(h)), then + feed-forward(norm(.)); dropout is for training alone."""
    segments, width, heads = len(h), options["width"], options["heads"]
    size = width // heads
    parts = [
        linear(weights, f"{name}.query_key_value", layer_norm(weights, f"{name}.attention_norm", row)) for row in h
    ]
    middle = []
    for t in range(segments):
        mixed: list[float] = []
        for head in range(heads):
            low, high = head * size, (head + 1) * size
            keys = [part[width + low : width + high] for part in parts]
            values = [part[2 * width + low : 2 * width + high] for part in parts]
            biases = None
            if options["positions"] == "relative":
                table = weights[f"{name}.position.bias"]
                biases = [float(table[head, bucket(other - t)]) for other in range(segments)]
            mixed += attend(parts[t][low:high], keys, values, biases)
        out = linear(weights, f"{name}.out", mixed)
        middle.append([a + b for a, b in zip(h[t], out, strict=True)])
    result = []
    for row in middle:
        hidden = linear(weights, f"{name}.feed_forward.1", layer_norm(weights, f"{name}.feed_forward.0", row))
        out = linear(weights, f"{name}.feed_forward.4", [gelu(value) for value in hidden])
        result.append([a + b for a, b in zip(row, out, strict=True)])
    return result


# --- CORE -------------------------------------------------------------------------------------------------------


def pool(h: Sequence[Sequence[float]], weights: Weights) -> tuple[list[float], list[float]]:
    """a_t = FC(h_t), softmax over time, and the video vector it pools."""
    coarse = softmax([linear(weights, "core.coarse", row)[0] for row in h])
    video = [0.0] * len(h[0])
    for share, row in zip(coarse, h, strict=True):
        for channel, value in enumerate(row):
            video[channel] += share * value
    return coarse, video


def classify(video: Sequence[float], said: Sequence[float], weights: Weights) -> list[tuple[float, float]]:
    """z in R^{C x 2}: (absent, present) of each category; present gains what the segments said by themselves."""
    flat = linear(weights, "core.classify.2", layer_norm(weights, "core.classify.0", video))
    return [(flat[2 * c], flat[2 * c + 1] + said[c]) for c in range(len(said))]


def mixture(presence: Sequence[float], options: Options) -> list[float]:
    """w: softmax of p / temperature over categories, or the most present one alone."""
    if options["weights"] == "hard":
        largest = list(presence).index(max(presence))
        return [1.0 if c == largest else 0.0 for c in range(len(presence))]
    return softmax([p / options["category_temperature"] for p in presence])


def with_labels(w: Sequence[float], labels: Sequence[float] | None, options: Options) -> list[float]:
    """v + e_y as weights of the prototypes: e_y is the mean over the true categories, nothing for normal videos."""
    if labels is None or not options["label_injection"] or not any(labels):
        return list(w)
    return [share + label / sum(labels) for share, label in zip(w, labels, strict=True)]


def inject(h: list[list[float]], w: Sequence[float], weights: Weights, options: Options) -> list[list[float]]:
    """Write the mixture of prototypes into every segment: CrossAttn(v, x, x) in one of its readings."""
    topology = options["topology"]
    if topology == "none":
        return h
    prototypes = weights["core.prototypes"].tolist()
    weighted = [[share * value for value in prototype] for share, prototype in zip(w, prototypes, strict=True)]
    v = [sum(column) for column in zip(*weighted, strict=True)]
    if topology == "film":
        change = linear(weights, "core.inject.scale_shift", v)
        scale, offset = change[: len(v)], change[len(v) :]
        return [[x * (1.0 + a) + b for x, a, b in zip(row, scale, offset, strict=True)] for row in h]
    content = [layer_norm(weights, "core.inject.norm", row) for row in h]

    def look(queries: list[list[float]], sources: list[list[float]]) -> list[list[float]]:
        keys = [linear(weights, "core.inject.key", source) for source in sources]
        values = [linear(weights, "core.inject.value", source) for source in sources]
        asked = [linear(weights, "core.inject.query", query) for query in queries]
        return [linear(weights, "core.inject.out", attend(query, keys, values)) for query in asked]

    answers = {
        "segments": lambda: look(content, weighted),
        "single": lambda: look(content, [v]),
        "broadcast": lambda: look([v], content) * len(h),
    }[topology]()
    return [[a + b for a, b in zip(row, answer, strict=True)] for row, answer in zip(h, answers, strict=True)]


def smooth(values: Sequence[float], half_width: int) -> list[float]:
    result = []
    for t in range(len(values)):
        near = values[max(0, t - half_width) : t + half_width + 1]
        result.append(sum(near) / len(near))
    return result


# --- evidence of a segment by itself (ours) ---------------------------------------------------------------------


def direct_evidence(x: Sequence[Sequence[float]], weights: Weights, options: Options) -> list[list[float]]:
    """d_t = W x_t + b; zeros without the direct path."""
    if not options["direct"]:
        return [[0.0] * len(options["categories"]) for _ in x]
    return [linear(weights, "evidence.linear", row) for row in x]


def ridge_evidence(x: Array, weights: Weights, options: Options) -> list[list[float]]:
    """d_c = l + log share_c of the clipped, standardised segment; l is the ridge's logit."""
    mean, scale = weights["evidence.mean"].tolist(), weights["evidence.scale"].tolist()
    result = []
    for row in selected(x, options):
        standard = [min(max((v - m) / s, -4.0), 4.0) for v, m, s in zip(row, mean, scale, strict=True)]
        own = sum(w * v for w, v in zip(weights["evidence.weight"].tolist(), standard, strict=True))
        shares = softmax(
            [
                sum(w * v for w, v in zip(of, standard, strict=True)) + float(bias)
                for of, bias in zip(
                    weights["evidence.share_weight"].tolist(), weights["evidence.share_bias"], strict=True
                )
            ]
        )
        result.append([own + float(weights["evidence.bias"]) + math.log(share) for share in shares])
    return result


def average_paths(direct: float, refined: float, weights: Weights, options: Options) -> float:
    """Both logits on the refined one's scale, averaged; the refined one alone while nothing is matched."""
    mean, scale = weights["path_mean"].tolist(), weights["path_scale"].tolist()
    if scale == [1.0, 1.0]:
        return refined
    share = options["head_weight"]
    together = (1.0 - share) * (direct - mean[0]) / scale[0] + share * (refined - mean[1]) / scale[1]
    return float(mean[1] + scale[1] * together)


def presence_logit(evidence: Sequence[float]) -> float:
    """log of sum_c exp(d_c) against exp(0)."""
    largest = max(evidence)
    return largest + math.log(sum(math.exp(value - largest) for value in evidence))


def mean_of(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) / len(column) for column in zip(*rows, strict=True)]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / (math.sqrt(sum(a * a for a in one)) * math.sqrt(sum(b * b for b in other)))


def prompt_prior(row: Sequence[float], weights: Weights, options: Options) -> list[float]:
    """Likeness to each category's prompts, then the prior; standardised. Nothing for an empty segment."""
    categories, owner = len(options["categories"]), options["prompt_owner"]
    if not any(row):
        return [0.0] * (categories + 1)
    center = weights["prompts.center"].tolist()
    centred = [value - mean for value, mean in zip(row, center, strict=True)]
    best = [-math.inf] * (categories + 1)
    for vector, place in zip(weights["prompts.vectors"].tolist(), owner, strict=True):
        found = cosine(centred, [value - mean for value, mean in zip(vector, center, strict=True)])
        best[place] = max(best[place], found)
    likeness = [*best[:-1], max(best[:-1]) - best[-1]]
    mean, scale = weights["prompts.mean"].tolist(), weights["prompts.scale"].tolist()
    return [(value - m) / s for value, m, s in zip(likeness, mean, scale, strict=True)]


# --- the whole model --------------------------------------------------------------------------------------------


def run(x: Array, weights: Weights, options: Options, labels: Sequence[float] | None = None) -> Result:
    """Score one video of T segments; with `labels` (0/1 a category) as in training, but without dropout."""
    unknown = set(options) - OPTIONS
    if unknown:
        raise ValueError(f"tests/reference.py does not follow {sorted(unknown)} yet")
    standard = standardise(x, weights, options)
    evidence = ridge_evidence(x, weights, options) if options["ridge"] else direct_evidence(standard, weights, options)
    said = mean_of(evidence)
    h, ratios = refine(standard, weights, options)
    coarse, video = pool(h, weights)
    z = classify(video, said, weights)
    presence = [softmax(pair)[1] for pair in z]
    w = mixture(presence, options)
    injected = inject(h, with_labels(w, labels, options), weights, options)
    content = [layer_norm(weights, "norm", row) for row in injected]
    refined = [
        linear(weights, "head.3", [gelu(value) for value in linear(weights, "head.0", row)])[0] for row in content
    ]
    logits, segment_logits = heads(x, content, refined, evidence, weights, options, labels is not None)
    logits = smooth(logits, options["smoothing"])
    columns = [smooth(column, options["smoothing"]) for column in zip(*segment_logits, strict=True)]
    segment_logits = [list(row) for row in zip(*columns, strict=True)]
    scores = [sigmoid(logit) for logit in logits]
    numbers = (logits, scores, coarse, z, presence, w, segment_logits)
    category = category_scores(scores, z, w, segment_logits, options)
    whole = presence_logit(said) if options["direct"] else 0.0
    parts = (*numbers, category, ratios, video, refined, evidence, whole)
    return Result(*(np.array(part, dtype=np.float64) for part in parts))


def heads(
    x: Array,
    content: Sequence[Sequence[float]],
    refined: Sequence[float],
    evidence: list[list[float]],
    weights: Weights,
    options: Options,
    training: bool,
) -> tuple[list[float], list[list[float]]]:
    """Each segment's anomaly logit and category logits, before smoothing; the head counts whole in training."""
    plain = list(refined)
    if options["centre_head"]:
        mean = sum(plain) / len(plain)
        plain = [logit - mean for logit in plain]
    plain = smooth(plain, options["refined_smoothing"])
    logits = [logit if training else options["head_weight"] * logit for logit in plain]
    direct = smooth([presence_logit(row) for row in evidence], options["direct_smoothing"])
    if options["ridge"]:
        logits = [average_paths(first, logit, weights, options) for first, logit in zip(direct, plain, strict=True)]
        shares = smooth_rows([[math.log(share) for share in softmax(row)] for row in evidence], options)
        categories = [
            [value + more for value, more in zip(share, linear(weights, "segment_categories", row), strict=True)]
            for share, row in zip(shares, content, strict=True)
        ]
    elif options["direct"]:
        logits = [logit + first for logit, first in zip(logits, direct, strict=True)]
        categories = smooth_rows(evidence, options)
    else:
        categories = [linear(weights, "segment_categories", row) for row in content]
    if options["prompt_owner"]:
        told = [prompt_prior(row, weights, options) for row in selected(x, options)]
        logits = [logit + row[-1] for logit, row in zip(logits, told, strict=True)]
        categories = [
            [value + 0.5 * likeness for value, likeness in zip(row, extra[:-1], strict=True)]
            for row, extra in zip(categories, told, strict=True)
        ]
    return logits, categories


def smooth_rows(rows: list[list[float]], options: Options) -> list[list[float]]:
    columns = [smooth(column, options["direct_smoothing"]) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def category_scores(
    scores: Sequence[float],
    z: Sequence[tuple[float, float]],
    w: Sequence[float],
    segment_logits: Sequence[Sequence[float]],
    options: Options,
) -> list[list[float]]:
    """score_t w_c; or with a per-segment posterior q, score_t times the share of w_c q_{t,c}.

    With the direct path the shares are the softmax of the video's presence log-odds and the segment's logits. No w_c
    counts as less than 1e-6.
    """
    result = []
    w = [max(share, SMALLEST_SHARE) for share in w]
    for score, row in zip(scores, segment_logits, strict=True):
        if options["segment_posterior"] and options["direct"]:
            share = softmax([present - absent + q for (absent, present), q in zip(z, row, strict=True)])
        elif options["segment_posterior"]:
            share = softmax([math.log(a) + log_sigmoid(b) for a, b in zip(w, row, strict=True)])
        else:
            share = [part / sum(w) for part in w]
        result.append([score * part for part in share])
    return result


# --- losses -----------------------------------------------------------------------------------------------------


def top_k_mean(values: Sequence[float], divisor: int) -> float:
    k = min(len(values) // divisor + 1, len(values))
    return sum(sorted(values, reverse=True)[:k]) / k


def cross_entropy(logit: float, target: float) -> float:
    """-y log p - (1 - y) log(1 - p), p = sigmoid(logit)."""
    return -target * log_sigmoid(logit) - (1.0 - target) * log_sigmoid(-logit)


def mil_loss(results: Sequence[Result], labels: Array, divisor: int) -> float:
    terms = []
    for result, label in zip(results, labels, strict=True):
        terms.append(cross_entropy(top_k_mean(result.logits.tolist(), divisor), float(label.any())))
    return sum(terms) / len(terms)


def category_loss(results: Sequence[Result], labels: Array) -> float:
    terms = []
    for result, label in zip(results, labels, strict=True):
        for (absent, present), target in zip(result.category_logits, label, strict=True):
            terms.append(cross_entropy(float(present - absent), float(target)))
    return sum(terms) / len(terms)


def posterior_loss(results: Sequence[Result], labels: Array, divisor: int) -> float:
    terms = []
    for result, label in zip(results, labels, strict=True):
        for c, target in enumerate(label):
            terms.append(cross_entropy(top_k_mean(result.segment_logits[:, c].tolist(), divisor), float(target)))
    return sum(terms) / len(terms)


def category_mixture(result: Result) -> list[float]:
    """s_gmm[t] = sum_c w_c exp(-(t - mu_c)^2 / 2 sigma_c^2), mu and sigma^2 by moments of the attention over time."""
    segments, categories = result.segment_logits.shape
    curve = [0.0] * segments
    for c in range(categories):
        attention = [result.coarse[t] * sigmoid(result.segment_logits[t, c]) for t in range(segments)]
        total = max(sum(attention), SMALLEST_ATTENTION)
        mean = sum(t * a for t, a in enumerate(attention)) / total
        variance = sum((t - mean) ** 2 * a for t, a in enumerate(attention)) / total + 1.0
        for t in range(segments):
            curve[t] += result.mixture[c] * math.exp(-((t - mean) ** 2) / (2.0 * variance))
    return curve


def gmm_loss(results: Sequence[Result], labels: Array) -> float:
    distances = []
    for result, label in zip(results, labels, strict=True):
        if label.any():
            mixed = category_mixture(result)
            distances += [(float(s) - m) ** 2 for s, m in zip(result.scores, mixed, strict=True)]
    return sum(distances) / max(len(distances), 1)


def inheritance_loss(results: Sequence[Result], labels: Array) -> float:
    """Cross-entropy of softmax([0, d_t]) with the video's labels, shared equally; none where it has no label."""
    means = []
    for result, label in zip(results, labels, strict=True):
        total = 0.0
        for row in result.evidence.tolist():
            logs = [math.log(share) for share in softmax([0.0, *row])]
            if label.any():
                total -= sum(log for log, target in zip(logs[1:], label, strict=True) if target) / float(label.sum())
            else:
                total -= logs[0]
        means.append(total / len(result.evidence))
    return sum(means) / len(means)
