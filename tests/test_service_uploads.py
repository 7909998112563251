"""Uploads: what is taken, what is refused, and analyses that hang or crash."""

import asyncio
import multiprocessing
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")


from fastapi import HTTPException

from analyses import analyse_and_crash, analyse_for_ever
from cases import config, random_model
from patience import patience, wait_until
from refinevad.apps.service.analysis import analyse
from refinevad.apps.service.uploads import _in_time
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.encoders.lite import LiteEncoder
from service_house import House
from test_service_network import Start
from videos import film, nobodys_codec, write_sound, write_video


def wait_for(house: House, job: str, states: tuple[str, ...]) -> dict[str, Any]:
    """The job once it is in one of the states."""
    found: dict[str, Any] = {}

    def reached() -> bool:
        found.update(house.client.get(f"/api/v1/jobs/{job}").json())
        return found["state"] in states

    wait_until(reached, f"one of {states} of the job", 60)
    return found


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("video") / "a.mp4", frames=25).read_bytes()


def uploads_of(house: House) -> list[str]:
    return sorted(path.name for path in (house.store.media / "uploads").iterdir())


def test_a_file_is_analysed_under_a_generated_name(house: House, video: bytes) -> None:
    answer = house.client.post("/api/v1/jobs?name=../../etc/my%20video.exe", content=video)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert job["name"] == "my video.exe"
    assert uploads_of(house) == [f"{job['id']}.mp4"]  # by its content, not by what it was called
    done = wait_for(house, job["id"], ("done", "failed"))
    assert done["state"] == "done"
    assert done["progress"] == 1.0
    assert done["result"]["events"][0]["category"] == "fall"
    assert Path(done["result"]["run"]).name == "first"
    assert (
        "result" not in house.client.get("/api/v1/jobs").json()[0]
        or house.client.get("/api/v1/jobs").json()[0]["result"] is None
    )
    ranged = house.client.get(done["video"], headers={"Range": "bytes=4-7"})
    assert ranged.status_code == 206
    assert ranged.content == video[4:8]
    assert house.client.post(f"/api/v1/jobs/{job['id']}/cancel").status_code == 409
    assert house.client.delete(f"/api/v1/jobs/{job['id']}").status_code == 204
    assert uploads_of(house) == []
    assert house.client.get(f"/api/v1/jobs/{job['id']}").status_code == 404


def test_what_is_no_video_is_refused_by_its_content(house: House, tmp_path: Path) -> None:
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    concat = b"ffconcat version 1.0\nfile '/etc/passwd'\n"
    sound = write_sound(tmp_path / "a.wav").read_bytes()
    unknown = nobodys_codec(tmp_path / "zzzz.mp4", "libx264", b"avc1").read_bytes()
    assert "no decoder" in house.client.post("/api/v1/jobs?name=a.mp4", content=unknown).text
    for content in (b"plain text, no video at all", playlist, concat, sound, unknown, b"\x00" * 5000):
        answer = house.client.post("/api/v1/jobs?name=a.mp4", content=content)
        assert answer.status_code == 415, content[:20]
    assert house.client.post("/api/v1/jobs?name=a.mp4", content=b"").status_code == 400
    assert uploads_of(house) == []
    assert house.client.get("/api/v1/jobs").json() == []


def test_uploads_are_bounded_in_bytes_and_seconds(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, upload_bytes=len(video), upload_s=0.5)
    with house.client as client:
        assert client.post("/api/v1/jobs", content=video + b"x").status_code == 413
        chunks = client.post("/api/v1/jobs", content=iter([video, b"x"]))  # of no stated length
        assert chunks.status_code == 413
        lying = client.post("/api/v1/jobs", content=iter([video, b"x"]), headers={"Content-Length": "5"})
        assert lying.status_code in (400, 413, 415)
        assert client.post("/api/v1/jobs", content=video).status_code == 422  # a second long
        assert uploads_of(house) == []
    house.store.close()


def test_an_analysis_that_hangs_is_killed_when_it_is_cancelled(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, work=analyse_for_ever, waiting_jobs=2)
    with house.client as client:
        first, second = (client.post("/api/v1/jobs", content=video).json()["id"] for _ in range(2))
        assert client.post("/api/v1/jobs", content=video).status_code == 429
        wait_for(house, first, ("running",))
        assert client.get(f"/api/v1/jobs/{second}").json()["state"] == "queued"
        assert client.post(f"/api/v1/jobs/{first}/cancel").json()["state"] == "cancelled"
        wait_for(house, second, ("running",))  # the worker is free again
        assert uploads_of(house) == [f"{second}.mp4"]
    house.store.close()


def test_a_crash_and_a_hang_of_the_decoder_are_told(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, work=analyse_and_crash)
    with house.client as client:
        failed = wait_for(house, client.post("/api/v1/jobs", content=video).json()["id"], ("failed",))
        assert "crashed" in failed["error"]
    house.store.close()


def test_an_analysis_that_takes_too_long_is_stopped(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, work=analyse_for_ever, analysis_least_s=0.5, analysis_share=0.0)
    with house.client as client:
        failed = wait_for(house, client.post("/api/v1/jobs", content=video).json()["id"], ("failed",))
        assert "stopped after" in failed["error"]
    house.store.close()


def test_a_service_that_was_killed_begins_its_analysis_again(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path)
    job = house.store.jobs.create("a.mp4", ".mp4")
    (house.store.media / "uploads" / job.file).write_bytes(video)
    house.store.jobs.update(job.id, "running", 0.7)  # as a killed process leaves it
    with house.client:
        assert wait_for(house, job.id, ("done",))["progress"] == 1.0
    house.store.close()


def test_uploads_are_bounded_in_pixels_and_in_work(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.mp4", frames=25, size=(64, 48)).read_bytes()  # 76,800 pixels in all
    house = House(tmp_path / "pixels", upload_pixels=64 * 48 - 1)
    with house.client as client:
        answer = client.post("/api/v1/jobs", content=small)
        assert answer.status_code == 415
        assert "64 x 48" in answer.json()["detail"]
    house.store.close()
    for most, status in ((76_800.0, 202), (76_799.0, 422)):
        house = House(tmp_path / str(most), upload_work=most)
        with house.client as client:
            answer = client.post("/api/v1/jobs", content=small)
            assert answer.status_code == status, answer.text
        house.store.close()


def test_a_huge_picture_is_refused_before_it_is_decoded(house: House, tmp_path: Path) -> None:
    huge = write_video(tmp_path / "huge.mp4", codec="mpeg4", frames=1, size=(4100, 4100)).read_bytes()
    answer = house.client.post("/api/v1/jobs", content=huge)
    assert answer.status_code == 415
    assert "4100 x 4100 are larger than 9.4 megapixels" in answer.json()["detail"]


def test_uploads_have_a_room_of_their_own(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, uploads_bytes=round(2.5 * len(video)))
    with house.client as client:
        first, second = (client.post("/api/v1/jobs", content=video).json()["id"] for _ in range(2))
        for job in (first, second):
            wait_for(house, job, ("done",))
        third = client.post("/api/v1/jobs", content=video).json()["id"]
        wait_for(house, third, ("done",))
        assert uploads_of(house) == sorted([f"{second}.mp4", f"{third}.mp4"])  # the oldest that was analysed made room
        assert client.get(f"/api/v1/jobs/{first}").json()["state"] == "done"
        assert client.get(f"/api/v1/jobs/{first}/video").status_code == 404
    house.store.close()
    house = House(tmp_path / "busy", work=analyse_for_ever, uploads_bytes=round(1.5 * len(video)))
    with house.client as client:
        client.post("/api/v1/jobs", content=video)
        for body in (video, iter([video])):  # of a stated length, and of none
            assert client.post("/api/v1/jobs", content=body).status_code == 507
        assert len(uploads_of(house)) == 1
    house.store.close()


def test_several_are_analysed_at_a_time_and_each_once(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, work=analyse_for_ever, analyses=2)
    with house.client as client:
        jobs = [client.post("/api/v1/jobs", content=video).json()["id"] for _ in range(3)]
        for job in jobs[:2]:
            wait_for(house, job, ("running",))
        assert client.get(f"/api/v1/jobs/{jobs[2]}").json()["state"] == "queued"
        client.post(f"/api/v1/jobs/{jobs[0]}/cancel")
        wait_for(house, jobs[2], ("running",))
    house.store.close()


def test_an_analysis_takes_so_much_memory_and_no_more() -> None:
    code = """
import numpy as np
from refinevad.apps.service.analysis import bound_memory
bound_memory(300_000_000)
np.empty(200_000_000, np.uint8)
try:
    np.empty(400_000_000, np.uint8)
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_so_many_are_uploaded_at_a_time(serving: Start) -> None:
    service = serving()
    head = "POST /api/v1/jobs?name=a HTTP/1.1\r\nHost: 127.0.0.1\r\nX-RefineVAD: 1\r\nContent-Length: 1000\r\n\r\nabc"
    with ExitStack() as held:
        clients = [held.enter_context(service.connect()) for _ in range(5)]
        for client in clients:
            client.sendall(head.encode())
        (answered,), _, _ = select.select(clients, [], [], patience(30))  # one of the five, at once
        assert answered.recv(100).startswith(b"HTTP/1.1 429")
    wait_until(lambda: list((service.data / "media" / "uploads").iterdir()) == [], "parts are left behind")


def test_an_upload_that_stalls_is_given_up() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(600)
        yield b"b"

    async def story() -> None:
        pieces = _in_time(body(), 0.05)
        assert await anext(pieces) == b"a"
        with pytest.raises(HTTPException) as refused:
            await anext(pieces)
        assert refused.value.status_code == 408

    asyncio.run(story())


def test_an_analysis_ends_quietly_where_the_service_is_gone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    video = write_video(tmp_path / "a.mp4")
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=analyse, args=(str(video), str(tmp_path), theirs))
    process.start()
    theirs.close()
    ours.close()
    process.join(120)
    assert process.exitcode == 0
    assert "Traceback" not in capfd.readouterr().err


def test_a_long_file_is_shared_among_processes_that_end_with_the_analysis(tmp_path: Path) -> None:
    """The same record as by one process; and killed half-way, as a cancelled one is, it leaves none behind."""
    video, run = film(tmp_path / "long.mp4", 1600), tmp_path / "run"
    encoder = LiteEncoder()
    model = random_model(config(channels=encoder.dim, inputs=(encoder.parts["motion_mean"],)), 3).eval()
    signature = {"encoder": encoder.identity.as_dict(), "rule": {"seconds": 0.64}}
    Checkpoint(model, "lite", signature, Calibration(0.5, 0.4, 6.0, True, 1.0)).save(run)
    found = [_analysed(video, run, cores) for cores in ("1", "2")]
    assert found[0] == found[1]
    assert found[0]["duration_s"] == pytest.approx(64.0, abs=0.1)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "2"}):
        process = multiprocessing.get_context("spawn").Process(target=analyse, args=(str(video), str(run), theirs))
        process.start()
    theirs.close()
    assert ours.recv()[0] == "duration"
    wait_until(lambda: len(_workers_of(process.pid)) == 2, "the workers")
    workers = _workers_of(process.pid)
    process.kill()
    process.join()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the end of the workers")


def _workers_of(pid: int | None) -> list[str]:
    """Processes that it started to work with, beside multiprocessing's own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def _analysed(video: Path, run: Path, cores: str) -> dict[str, Any]:
    """What an analysis in a process of its own sends at last."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": cores}):
        process = multiprocessing.get_context("spawn").Process(target=analyse, args=(str(video), str(run), theirs))
        process.start()
    theirs.close()
    kind, value = "", {}
    while kind not in ("done", "failed"):
        kind, value = ours.recv()
    process.join()
    assert kind == "done", value
    return dict(value)
