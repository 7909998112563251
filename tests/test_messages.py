"""What passes between a camera's process and the engine comes out as it went in, and nothing else comes out."""

import json
import pickle
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.apps.live.capture.messages import (
    Ended,
    Finish,
    Gap,
    Look,
    MessageError,
    Opened,
    Picture,
    Pulse,
    Record,
    Recorded,
    Segment,
    Stop,
    decode,
    encode,
)
from refinevad.video.frames import Clip

PLAIN = (
    Opened(640, 480, 12.5, "h264", False),
    Look(1.5, 100.0, 40.5, 0.25, 3.0, 0.875),
    Gap("rtsp://door/: nothing came in time", 2.0),
    Gap("rtsp://door/: its time stamps stand still", 0.0, lasting=True),
    Pulse(25, 1, 2, 3, 640, 480),
    Recorded("e1", ""),
    Ended("not a video"),
    Record("e1", "/media/clips/ü.mp4", 12.25),
    Finish("e1", 20.0, True),
    Stop(),
    Picture(b"\xff\xd8\x00\xff\xd9", 1.5, 1000.25),
)


@pytest.mark.parametrize("message", PLAIN, ids=lambda message: type(message).__name__)
def test_what_goes_in_comes_out(message: object) -> None:
    assert decode(encode(message)) == message


@given(st.integers(0, 2), st.integers(0, 3), st.integers(1, 4), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_segments_pixels_come_out_bit_by_bit(rgb: int, gray: int, side: int, lead: bool, seed: int) -> None:
    generator = np.random.default_rng(seed)
    clip = Clip(
        generator.integers(0, 255, (rgb, side, side + 1, 3)).astype(np.uint8),
        generator.random(rgb),
        generator.integers(0, 255, (gray, side, 2)).astype(np.uint8),
        generator.random(gray),
        1.25,
        1.89,
        lead,
    )
    if gray and lead:  # as often as not: some of it is hidden
        clip = replace(clip, hidden=generator.random((side, 2)) < 0.5)
    if lead:  # and motion vectors with it, some not known
        clip = replace(clip, moved=generator.choice([np.nan, -1.5], (gray, 4, 5, 2)).astype(np.float32))
    found = decode(encode(Segment(clip, 16, 1000.5, 998.25)))
    np.testing.assert_equal(found.clip.hidden, clip.hidden)
    np.testing.assert_equal(found.clip.moved, clip.moved)
    assert (found.frames, found.arrived, found.origin) == (16, 1000.5, 998.25)
    assert (found.clip.start_s, found.clip.end_s, found.clip.lead) == (1.25, 1.89, lead)
    for name in ("rgb", "rgb_times", "gray", "gray_times"):
        np.testing.assert_array_equal(getattr(found.clip, name), getattr(clip, name))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        pickle.dumps(Stop()),
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 4) + b"\xff\xff\xff\xff",
        *(
            struct.pack(">I", len(head)) + head
            for head in (
                json.dumps(content).encode()
                for content in (
                    {"kind": "Exec", "command": "x"},
                    {"kind": "Gap", "reason": "x"},
                    {"kind": "Gap", "reason": ["x"], "retry_s": 1.0},
                    {"kind": "Finish", "event": "e", "end_s": "soon", "now": True},
                    {"kind": "Segment", "shapes": [[1, 2, 2, 3], [1], [0, 2, 2], [0]], "frames": 1},
                    {"kind": "Segment", "shapes": [[-1, 2, 2, 3], [1], [0, 2, 2], [0]], "frames": 1},
                    {"kind": "Segment", "shapes": [[1, 2, 3], [1], [0, 2, 2], [0]], "frames": 1},
                    {"kind": "Segment", "shapes": [[2**40, 2**40, 2, 3], [1], [0, 2, 2], [0]], "frames": 1},
                )
            )
        ),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError, match=r"message|shape"):
        decode(data)


@pytest.mark.parametrize("shape", [b"[2, 4, 6, 2]", b"[3, 4, 8, 1]"])
def test_motion_of_other_frames_is_refused(shape: bytes) -> None:
    gray, times, moved = np.zeros((3, 4, 4), np.uint8), np.arange(3.0), np.zeros((3, 4, 4, 2), np.float32)
    clip = Clip(np.zeros((0, 2, 2, 3), np.uint8), np.zeros(0), gray, times, 0.0, 0.64, False, moved=moved)
    data = encode(Segment(clip, 16, 1.0, 1.0))
    assert data.count(b"[3, 4, 4, 2]") == 1
    with pytest.raises(MessageError, match="motion of other frames"):
        decode(data.replace(b"[3, 4, 4, 2]", shape))
