"""A RUN -> a folder that other programs run: the head as a graph, its encoder's network, and model.json."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from refinevad.checkpoint import CONFIG, WEIGHTS, Checkpoint
from refinevad.errors import InputError
from refinevad.exporting.description import KIND, describe
from refinevad.exporting.formats import FORMATS, Run, file_of, open_graph, to_openvino, write_graph
from refinevad.exporting.graph import AXES, INPUT, OUTPUTS, ExportedHead
from refinevad.exporting.pictures import PictureGraph, picture_graph
from refinevad.exporting.quantising import quantise
from refinevad.files.json_files import read_json
from refinevad.files.whole import sha256_file
from refinevad.files.whole_folder import whole_folder
from refinevad.scoring.scores import score_window
from refinevad.segment_model import SegmentModel

DESCRIPTION = "model.json"
HEAD, PICTURES = "head", "pictures"
_TOLERANCE = 1e-4
_LENGTHS = (1, 2, 23)  # segments of the windows that an export is tried on
_DIVERSE = 2  # lengths that are traced with: an axis of 1 would be taken for a constant


def export_run(
    run: Path, form: str, out: Path, *, quantised: bool = False, allow_download: bool = False
) -> dict[str, Any]:
    """Export a RUN folder; the content of the model.json that was written.

    Args:
        form: one of `FORMATS`.
        quantised: the head's larger matrices in 8 bits.
        allow_download: an encoder that the run names may be fetched from a model hub.

    Raises:
        InputError: no finished run, no such form, a package is missing, something in it cannot be exported, the export
            would score otherwise than the run, or `out` holds other things.
    """
    if form not in FORMATS:
        raise InputError(f"a run is exported to {', '.join(FORMATS)}, not to {form!r}")
    if quantised and form == "torchscript":
        raise InputError("--quantise needs onnx or openvino; TorchScript's graphs stay in float")
    checkpoint, reference = Checkpoint.load(run), Checkpoint.load(run)
    identity = {"weights_sha256": sha256_file(run / WEIGHTS), "config_sha256": sha256_file(run / CONFIG)}
    what = f"the head {checkpoint.model.config.head}"
    with whole_folder(out, lambda folder: _is_export(folder, identity, form, quantised)) as folder:
        write_head(checkpoint.model, folder, form, quantised, what)
        _try_out(folder / file_of(HEAD, form), reference.model, form, quantised, what)
        picture, why_not = picture_graph(checkpoint, allow_download)
        if picture is not None:
            picture, why_not = _write_pictures(picture, folder, form)
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)} for path in sorted(folder.iterdir())
        }
        content = {**describe(checkpoint, form, quantised, picture, why_not), "run": identity, "files": files}
        (folder / DESCRIPTION).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return content


def write_head(model: SegmentModel, folder: Path, form: str, quantised: bool, what: str) -> None:
    """The head alone. The model is changed by it. Raises InputError as `export_run` does."""
    config, path = model.config, folder / file_of(HEAD, form)
    example = torch.linspace(-1, 1, _DIVERSE * 7 * config.channels).reshape(_DIVERSE, 7, config.channels)
    arguments = (example[:1] if config.merge_runs else example,)
    head = ExportedHead(model)
    if not quantised:
        write_graph(head, arguments, AXES, [INPUT], form, path, what)
        return
    whole, rounded = folder / "whole.onnx", folder / file_of(HEAD, "onnx")
    write_graph(head, arguments, AXES, [INPUT], "onnx", whole, what)
    quantise(whole, rounded, what)
    whole.unlink()
    if form == "openvino":
        to_openvino(rounded, path, what)
        rounded.unlink()


def open_head(path: Path, form: str) -> Run:
    """What runs an exported head: by name features (window, segment, channel) in, and `OUTPUTS` out.

    Raises:
        InputError: the package that runs this form is missing.
    """
    return open_graph(path, form, [INPUT], OUTPUTS)


def _try_out(path: Path, model: SegmentModel, form: str, quantised: bool, what: str) -> None:
    """Score windows of several lengths with the export and with the model.

    Raises:
        InputError: they differ, or of a quantised one, it gives no numbers.
    """
    run, categories = open_head(path, form), len(model.config.categories)
    random = np.random.default_rng(0)
    spread: Float[np.ndarray, channel] = np.ones(model.config.channels, dtype=np.float32)
    middle = np.zeros_like(spread)
    scale: Any = model.input_scale
    spread[model.config.selected], middle[model.config.selected] = scale.numpy(), model.input_mean.numpy()
    for length in _LENGTHS:
        values = (middle + spread * random.normal(size=(length, len(spread)))).astype(np.float32)
        expected, found = score_window(model, values), run({INPUT: values[None]})
        pairs = (
            (expected.rows[:, 0], found["logits"][0]),
            (expected.rows[:, 2 : 2 + categories], found["share_logits"][0]),
            (expected.presence, found["presence"][0]),
        )
        apart = max(float(np.abs(one - other).max()) for one, other in pairs)
        size = max(1.0, *(float(np.abs(one).max()) for one, _ in pairs))
        if not np.isfinite(apart) or (apart > _TOLERANCE * size and not quantised):
            raise InputError(
                f"{what} exported to {form} gives other scores than the run (by {apart:.2g} in a logit at {length} "
                "segments); use another form"
            )


def _write_pictures(picture: PictureGraph, folder: Path, form: str) -> tuple[PictureGraph | None, str]:
    """The encoder's network, tried on its example; None, nothing written, and why where that cannot be."""
    with TemporaryDirectory(dir=folder) as own:
        path = Path(own) / file_of(PICTURES, form)
        outputs = [name for name in picture.axes if name not in picture.inputs]
        try:
            write_graph(picture.graph, picture.example, picture.axes, picture.inputs, form, path, "the encoder")
        except InputError as error:  # the head can do without
            return None, str(error)
        run = open_graph(path, form, picture.inputs, outputs)
        given = dict(zip(picture.inputs, (part.numpy() for part in picture.example), strict=True))
        with torch.inference_mode():
            made = picture.graph(*picture.example)
        wanted = made if isinstance(made, tuple) else (made,)
        pairs = zip(wanted, run(given).values(), strict=True)
        apart = max(float(np.abs(one.numpy() - other).max()) for one, other in pairs)
        if not apart <= _TOLERANCE * max(1.0, *(float(one.abs().max()) for one in wanted)):
            return None, f"the encoder exported to {form} gives other numbers than it should (by {apart:.2g})"
        for part in Path(own).iterdir():
            part.rename(folder / part.name)
    return picture, ""


def _is_export(folder: Path, identity: dict[str, str], form: str, quantised: bool) -> bool:
    """Whether a folder holds an earlier export of the same run in the same form, and nothing else."""
    try:
        said = read_json(folder / DESCRIPTION)
    except InputError:
        return False
    same = {"kind": KIND, "format": form, "quantised": quantised, "run": identity}
    files = said.get("files")
    if not isinstance(files, dict) or any(said.get(name) != value for name, value in same.items()):
        return False
    return {path.name for path in folder.iterdir()} == {*files, DESCRIPTION}
