"""UCF-Crime's official lists in small. Its fixture, `ucf`, is a plugin."""

from pathlib import Path

import pytest

UCF_TRAIN = ("Abuse/Abuse001_x264", "Arson/Arson002_x264", "Training_Normal_Videos_Anomaly/Normal_Videos001_x264")
UCF_TEST = ("Abuse/Abuse028_x264", "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264")


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    """The official split of five videos."""
    data = tmp_path / "ucf-crime"
    data.mkdir()
    (data / "Anomaly_Train.txt").write_text("".join(f"{name}.mp4\n" for name in UCF_TRAIN))
    (data / "Anomaly_Test.txt").write_text("".join(f"{name}.mp4\n" for name in UCF_TEST))
    (data / "Temporal_Anomaly_Annotation.txt").write_text(
        "Abuse028_x264  Abuse  20  60  -1  -1\nNormal_Videos_003_x264  Normal  -1  -1  -1  -1\n"
    )
    return data
