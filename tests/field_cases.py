"""Files as they come from recorders, phones and downloads: what their tests share.

Each kind is built by its tests; those kept from the field are refinevad's own rendered clip in the shapes that people
report. Without ../shared they are skipped.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.packet import Packet

from fakes import MeanEncoder
from refinevad.apps.live.capture.messages import Message, Segment
from refinevad.apps.live.capture.preview import PreviewMaker
from refinevad.apps.live.capture.segment_maker import SegmentMaker
from refinevad.apps.live.capture.source import Source
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.encoders.choice import EncoderChoice
from refinevad.features.extraction import extract
from refinevad.features.store import Features
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.timeline import SegmentRule
from refinevad.video.presentation import PlanError
from refinevad.video.reading import ClipReader
from refinevad.video.shares import SharePlan, clips_of
from videos import assert_same_clips

torch.set_num_threads(1)
RULE = SegmentRule.default()
NEEDS = MeanEncoder.needs
CASES = Path(os.environ.get("REFINEVAD_DATA", Path(__file__).parents[2] / "shared" / "data")) / "field-cases"
told = pytest.mark.filterwarnings("ignore::refinevad.video.reading.DamagedVideoWarning")


def case(name: str) -> Path:
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def features_of(path: Path) -> Features:
    return extract(path, EncoderChoice("lite", MeanEncoder(), None), RULE)


def read(path: Path) -> ClipReader:
    """After all its clips were read, which shares of it and a camera's reader give too."""
    reader = ClipReader(path, NEEDS, RULE)
    clips = list(reader)
    every = ClipReader(path, NEEDS, RULE, every_frame=True)
    assert_same_clips(list(every), clips)
    assert every.notes == reader.notes
    plan = SharePlan(path, NEEDS, RULE, lambda start_s, stated_s: 1.5)
    try:
        shares = list(plan)
        shared = [clip for share in shares for clip in clips_of(path, share)]
    except PlanError:
        pass
    else:
        assert_same_clips(shared, clips)
        for one in ("time_bounds", "ends_s", "frame_bounds"):
            np.testing.assert_array_equal(getattr(plan.timeline, one), getattr(reader.timeline, one))
        assert plan.tell() == reader.notes
    assert_same_clips([segment.clip for segment in watched(path)], clips)
    return reader


def watched(path: Path) -> list[Segment]:
    """A recording's segments as a camera's process makes them."""
    sent: list[Message] = []
    source = Source(parse_address(str(path)), stall_s=5.0, fast=True)
    maker = SegmentMaker(source, NEEDS, RULE, hole_s=5.0, preview=PreviewMaker(32), preview_hz=0.0, send=sent.append)
    for packet, arrived in source:
        for frame in packet.decode():
            assert isinstance(frame, av.VideoFrame)
            assert maker.push(frame, arrived)
    maker.end()
    source.close()
    return [message for message in sent if isinstance(message, Segment)]


def restamped(path: Path, change: Callable[[int, Packet], None]) -> Path:
    """The same packets in a file of the same kind, stamps changed."""
    out = path.with_stem(path.stem + "-restamped")
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.stream = stream
                change(number, packet)
                target.mux(packet)
    return out


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def make_run(folder: Path) -> Path:
    """A model of random weights on four channels."""
    torch.manual_seed(0)
    model = RefineVAD(RefineVADConfig(channels=4, categories=("fall", "fight"))).eval()
    signature = {"encoder": MeanEncoder().identity.as_dict(), "rule": RULE.as_dict()}
    Checkpoint(model, "lite", signature, Calibration(0.3, 0.2, 6.0, True, 1.0)).save(folder)
    return folder
