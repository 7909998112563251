"""The test servers themselves, where a mistake would make other tests pass for nothing."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from refinevad.apps.live.settings.addresses import parse_address
from servers import RtspServer
from videos import flat, write_video


def pictures(url: str, count: int) -> list[np.ndarray]:
    address = parse_address(url)
    frames = []
    with av.open(address.url, format=address.format, options=address.options) as container:
        for frame in container.decode(video=0):
            frames.append(frame.to_ndarray(format="gray"))
            if len(frames) == count:
                break
    return frames


def test_a_test_pattern_comes_by_rtsp(rtsp: Callable[..., RtspServer]) -> None:
    assert [picture.shape for picture in pictures(rtsp().url, 5)] == [(120, 160)] * 5


def test_a_file_comes_in_a_loop_and_again_after_a_kill(rtsp: Callable[..., RtspServer], tmp_path: Path) -> None:
    levels = [40, 90, 140, 190]
    video = write_video(tmp_path / "a.mp4", flat(levels, 64, 48), options={"bf": "0", "g": "1"})
    server = rtsp([video])
    for _ in range(2):
        seen = [float(picture.mean()) for picture in pictures(server.url, 9)]
        steps = np.diff(seen)
        assert (steps > 30).sum() >= 5  # rises by 50 * 219/255 within a turn
        assert (steps < -100).sum() >= 1  # and falls when the turn begins again
        server.kill()
        with pytest.raises(OSError):
            pictures(server.url, 1)
        server.start()


def test_a_stream_may_change_its_size(rtsp: Callable[..., RtspServer], tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.mp4", frames=5, size=(64, 48), options={"bf": "0"})
    large = write_video(tmp_path / "b.mp4", frames=5, size=(96, 64), options={"bf": "0"})
    assert {picture.shape for picture in pictures(rtsp([small, large]).url, 12)} == {(48, 64), (64, 96)}


def test_a_login_is_asked_for(rtsp: Callable[..., RtspServer]) -> None:
    server = rtsp(login=("viewer", "p@ss/word"))
    with pytest.raises(av.error.HTTPUnauthorizedError):
        pictures(server.url, 1)
    place = f"127.0.0.1:{server.port}/stream"
    assert len(pictures(f"rtsp://viewer:p%40ss%2Fword@{place}", 1)) == 1
