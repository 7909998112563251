"""The documentation site says what is so: commands, messages, examples, pages; and it loads nothing from elsewhere."""

import ast
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from release.command_pages import command_reference, commands_of
from release.python_pages import MODULES, python_reference
from release.self_contained import loaded_from_elsewhere

from refinevad.apps.cli import COMMANDS, build_parser, main
from refinevad.apps.live.delivery.sinks.base import Sink
from refinevad.apps.live.envelope import make_envelope
from refinevad.encoders.base import Clip

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def section(page: str, title: str) -> str:
    """A heading's part of a page, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", page, flags=re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


@pytest.mark.parametrize(
    "words", [*([name] for name in COMMANDS), *(["bench", kind] for kind in ("recipe", "ablation", "render", "speed"))]
)
def test_a_command_s_page_has_all_that_its_help_has(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    told = capsys.readouterr().out
    part = section(command_reference(build_parser()), " ".join(["refinevad", *words]))
    names = set(re.findall(r"^  (-{1,2}[a-z][\w-]*)", told, flags=re.MULTILINE)) - {"-h"}
    assert names or words in (["bench"], ["completion"])  # which have none of their own
    for name in names:
        assert re.search(rf"^\| `{name}\b", part, flags=re.MULTILINE), name
    example = told.partition("example:\n")[2].strip().splitlines()
    assert not example or example[0].strip() in part


def test_a_command_s_page_by_hand() -> None:
    parser = build_parser()
    assert list(commands_of(parser)) == list(COMMANDS)
    part = section(command_reference(parser), "refinevad detect")
    assert part.startswith("\nFind events in videos.\n")
    assert "| `VIDEO [VIDEO ...]` | video files |" in part
    assert "| `--model RUN` | folder of a trained run, or a model that ships (fighting), or --describe |" in part
    assert "| `--out DIR` *(needed)* | folder for the results |" in part
    assert "| `--annotate` | also write an mp4 with the curve drawn in |" in part
    encoders = section(command_reference(parser), "refinevad extract")
    assert "clip:&lt;hub id or folder&gt;" in encoders  # else a browser takes it for a tag


def test_the_python_page_names_what_there_is() -> None:
    package = ModuleType("package")
    page = python_reference(package)
    for name in MODULES:
        assert f"::: {name}\n    options:\n" in page
    package.__dict__.update(__all__=["__version__", "Path"], Path=Path)
    page = python_reference(package)
    assert f"## package\n\n::: {Path.__module__}.Path\n" in page
    assert page.count('filters: ["!^_", "!^Path$"]') == len(MODULES)  # it stands there once


def test_every_page_stands_in_the_order_once() -> None:
    order = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    listed = re.findall(r"([\w/-]+\.md)", order)
    written = {"reference/commands.md", "reference/python.md"}  # at each build
    here = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(listed) == sorted(here | written)


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    written = {DOCS / "reference" / "commands.md", DOCS / "reference" / "python.md"}
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://")):
            target = (path.parent / link).resolve()
            assert target.exists() or target in written, link


def test_messages_that_are_explained_are_the_program_s() -> None:
    # adjacent literals are one string to the parser; what is filled in becomes …
    said = " ".join(
        "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        if isinstance(node, ast.JoinedStr)
        else str(node.value)
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    )
    quoted = re.findall(r"“(.+?)”", (DOCS / "symptoms.md").read_text(encoding="utf-8"))
    assert len(quoted) > 20
    for message in quoted:
        for piece in filter(None, (part.strip() for part in message.split("…"))):
            assert piece in said, f"no message of the program has {piece!r}"


def example(heading: str) -> dict[str, Any]:
    """The names that an example of docs/extending.md defines."""
    text = (DOCS / "extending.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", section(text, heading), flags=re.DOTALL)
    assert len(code) == 1
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code[0], f"extending.md, {heading}", "exec"), names)
    return names


def test_the_encoder_s_example_encodes() -> None:
    encoder = example("An encoder")["Colours"]()
    rgb = np.zeros((2, 32, 32, 3), np.uint8)
    rgb[..., 1] = 255
    grey = np.zeros((0, 0, 0), np.uint8)
    clip = Clip(rgb, np.array([0.1, 0.4]), grey, np.zeros(0), 0.0, 0.64, False)
    vectors = encoder.encode([clip, clip])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0, 1, 0], [0, 1, 0]])
    assert encoder.dim == vectors.shape[1] == max(last for _, last in encoder.parts.values())
    assert len(encoder.identity.digest) == 16


def test_the_head_s_example_scores_a_video_alone_as_beside_another() -> None:
    names = example("A head")
    head = names["OneLayer"](names["OneLayerConfig"](4, ("fight",))).eval()
    x, mask = torch.randn(2, 5, 4), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    whole, alone = head(x, mask), head(x[1:, :3], mask[1:, :3])
    torch.testing.assert_close(whole.logits[1, :3], alone.logits[0])
    assert (whole.logits[1, 3:] == 0).all()
    (loss,) = head.loss(whole, torch.tensor([[1.0], [0.0]]), mask).values()
    # -log sigmoid of the largest of the anomalous video, -log(1 - sigmoid) of the normal one's, and their mean
    largest = [whole.logits[0].max().item(), whole.logits[1, :3].max().item()]
    expected = (np.log1p(np.exp(-largest[0])) + np.log1p(np.exp(largest[1]))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_sink_s_example_takes_an_envelope() -> None:
    sink = example("A sink")["Lines"]("lines")
    assert isinstance(sink, Sink)
    moment = "2026-11-23T05:43:52.120Z"
    facts: Any = {"start": moment, "end": moment, "peak": 0.9, "peak_time": moment}
    after = {**facts, "category": "fight", "probabilities": {"fight": 1.0}}
    sink.deliver(make_envelope("new", "door", "door-1", None, after, model="run", time=0.0))
    assert sink.lines == ["1970-01-01T00:00:00.000Z new door fight"]


@pytest.mark.parametrize(
    "content",
    [
        '<script src="https://unpkg.com/iframe-worker/shim"></script>',
        "<img alt=x src=//elsewhere/x.png>",
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<link href="https://fonts.example" rel="preconnect" crossorigin>',
        "@import url('https://fonts.example/css');",
        "a { background: url(//elsewhere/x.png) }",
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(content: str) -> None:
    assert loaded_from_elsewhere(f"<p>{content}".encode())


def test_links_and_what_lies_beside_are_not_loaded_from_elsewhere() -> None:
    page = '<a href="https://example.org">x</a><link rel="canonical" href="https://example.org/"><img src="a.png">'
    assert loaded_from_elsewhere(page.encode()) is None
    assert loaded_from_elsewhere(b'<link rel="stylesheet" href="site.css">a { background: url("x.svg") }') is None
