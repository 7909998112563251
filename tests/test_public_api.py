"""What `import refinevad` offers: these names with these signatures, each imported when it is first used."""

import dataclasses
import inspect
import subprocess
import sys

import pytest

import refinevad
from patience import patience

# written by hand: a change here is a change of what others rely on
FUNCTIONS = {
    "train": "data, out, *, encoder=None, segment_s=None, segment_frames=None, features=None, workers=1, fold=None, "
    "seed=None, epochs=None, precision=None, alerts_per_hour=None, inputs=None, head=None, device=None, progress=None",
    "evaluate": "run, data, *, features=None, protocol='strict', lenient=False, workers=1, device=None, "
    "allow_download=False",
    "register_encoder": "name, encoder",
    "register_head": "name, config, head",
    "write_features": "folder, videos, name, *, segment_s=None, segment_frames=None",
    "Detector.open": "run=None, window=None, delay=None, *, threshold=None, device=None, "
    "allow_download=False, zones=None, where=True",
    "Detector.detect": "self, path, progress=None, workers=None",
    "Detector.detect_frames": "self, frames, name='frames', *, rate_hz=None",
    "Detector.detect_features": "self, features, name='features', *, rate_hz=None",
    "StreamingDetector.open": "run=None, window=None, delay=None, *, threshold=None, device=None, rate_hz=25.0, "
    "longest_s=inf, allow_download=False, zones=None",
    "StreamingDetector.push_frame": "self, image, time_s",
    "StreamingDetector.push_segment": "self, features, start_s, end_s",
    "StreamingDetector.gap": "self",
    "StreamingDetector.flush": "self",
    "Detection.to_json": "self",
    "Detection.to_pandas": "self",
    "Detection.plot": "self, axes=None",
    "Detection._repr_html_": "self",
    "Figures.ahead_of": "self, control, name='auc'",
    "Figures.to_json": "self",
    "OwnEncoder.encode": "self, clips",
    "Head.score": "self, x, mask",
    "Head.loss": "self, output, labels, mask",
}
FIELDS = {  # of what is given or taken; fields may be added behind these
    "Clip": "rgb rgb_times gray gray_times start_s end_s lead",
    "Detection": "video duration_s frames rate_hz timeline scores categories category_scores events threshold "
    "low_threshold alerts_per_hour video_score model start_s notes",
    "Event": "start_s end_s peak peak_s category probabilities",
    "EventUpdate": "kind event before after cut",
    "Figure": "value low high",
    "FrameNeeds": "rgb_frames rgb_size gray_long_side gray_hz",
    "HeadConfig": "channels categories",
    "HeadOutput": "logits category_logits",
    "Progress": "stage done total folder fold figures",
    "Run": "folder validation notes failed",
    "SegmentScores": "start_s end_s scores categories",
    "StreamOutput": "segments updates arrived at",
    "Video": "name values labels split events rate_hz",
}
PROPERTIES = {
    "Detection": {"times_s"},
    "Detector": {"categories"},
    "StreamingDetector": {"categories", "held_segments"},
}
OTHERS = {"Detector", "Figures", "Head", "InputError", "OwnEncoder", "RefineVADError", "StreamingDetector"}


def test_these_names_are_public_and_no_others() -> None:
    functions = {name for name in FUNCTIONS if "." not in name}
    assert set(refinevad.__all__) == {*functions, *FIELDS, *OTHERS, "__version__"}
    assert list(refinevad.__all__) == sorted(refinevad.__all__)
    assert set(refinevad.__all__) <= set(dir(refinevad))
    with pytest.raises(AttributeError, match="no attribute 'Detektor'"):
        _ = refinevad.Detektor


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_are_as_written_here(name: str) -> None:
    owner, _, method = name.partition(".")
    found = getattr(refinevad, owner)
    found = getattr(found, method) if method else found
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(found).parameters.values()
    ]
    assert str(inspect.Signature(parameters)) == f"({FUNCTIONS[name]})"
    assert (inspect.getdoc(found) or "").strip(), f"{name} has no docstring"


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_as_written_here(name: str) -> None:
    wanted = FIELDS[name].split()
    found = [field.name for field in dataclasses.fields(getattr(refinevad, name))]
    assert found[: len(wanted)] == wanted


def test_properties_are_as_written_here() -> None:
    for name, wanted in PROPERTIES.items():
        for member in wanted:
            assert isinstance(inspect.getattr_static(getattr(refinevad, name), member), property), f"{name}.{member}"


def test_the_errors_are_one_family() -> None:
    assert issubclass(refinevad.InputError, refinevad.RefineVADError)


PROGRAM = """
import sys
import refinevad
loaded = sorted(name for name in sys.modules if name.split(".")[0] == "refinevad")
heavy = sorted({"torch", "numpy", "av", "cv2", "onnxruntime", "jaxtyping"} & set(sys.modules))
print(loaded, heavy)
refinevad.InputError
print("torch" in sys.modules, "numpy" in sys.modules)
for name in refinevad.__all__:
    getattr(refinevad, name)
print("torch" in sys.modules, "av" in sys.modules, "pandas" in sys.modules, "matplotlib" in sys.modules)
"""


def test_importing_the_package_imports_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=patience(120))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['refinevad'] []", "False False", "True False False False"]
