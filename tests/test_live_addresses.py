"""Addresses: what is opened, what FFmpeg may do with it, and that no password is ever shown."""

from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.apps.live.settings.addresses import mask, parse_address
from refinevad.apps.live.settings.secret import Secret
from refinevad.errors import InputError
from videos import write_video

PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=20).map(
    lambda t: f"Zq{t}7x"
)


@pytest.mark.parametrize(
    "text",
    [
        "concat:a.mp4|b.mp4",
        "ftp://host/a.mp4",
        "data:video/mp4;base64,AAAA",
        "pipe:0",
        "udp://host:1234",
        "rtmp://host/live",
        "subfile:,,start,0,end,9,,:/etc/passwd",
        "rtsp:///stream",
        "rtsp://host:port/x",
        "http://ho st/x",
        "rtsp://host/x\r\nX: y",
        "",
        "file://otherhost/a.mp4",
        "/dev/video",
        "/no/such/file.mp4",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["rtsp://10.0.0.5/s", "rtsps://h:322/s", "http://h/a.mjpg", "https://h/a", "RTSP://h/s"]
)
def test_streams_are_live_and_whitelisted(text: str) -> None:
    address = parse_address(text)
    allowed = address.options["protocol_whitelist"].split(",")
    assert address.live
    assert address.scheme == text.split(":")[0].lower()
    assert not {"file", "concat", "data", "subfile", "pipe"} & set(allowed)


def test_a_device_has_its_format() -> None:
    address = parse_address("/dev/video0")
    assert (address.scheme, address.format, address.url) == ("device", "v4l2", "/dev/video0")


def test_username_and_password_are_put_in_and_encoded() -> None:
    address = parse_address("rtsp://[fe80::1]:554/s?channel=2&key=abc", username="a b", password=Secret("p@/:#"))
    assert address.url == "rtsp://a%20b:p%40%2F%3A%23@[fe80::1]:554/s?channel=2&key=abc"
    assert address.shown == "rtsp://***@[fe80::1]:554/s?channel=2&key=***"


@pytest.mark.parametrize("roots", [None, ["."]], ids=["operator", "api"])
@pytest.mark.parametrize("name", ["v.mp4", "file:v.mp4", "nowhere.mp4", "/dev/video0"])
@pytest.mark.parametrize("given", [{"username": "viewer"}, {"password": Secret("geheim")}])
def test_credentials_that_nothing_asks_for_are_refused(
    name: str, given: dict[str, Any], roots: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passed over in silence they look as if they kept somebody out. Whether the file is there is not told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.mp4").touch()
    with pytest.raises(InputError, match="username and password are for network addresses") as refused:
        parse_address(name, roots=None if roots is None else [tmp_path], **given)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("url", ["rtsp://10.0.0.5/s", "rtsp://viewer@10.0.0.5/s", "http://10.0.0.5/s"])
def test_a_password_without_a_username_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="a password without a username; give both"):
        parse_address(url, password=Secret("geheim"))


@given(PASSWORDS)
def test_a_password_is_never_shown(password: str) -> None:
    for text in (f"rtsp://admin:{password}@10.0.0.5:554/s", f"admin:{password}@10.0.0.5", f"xyz://a:{password}@h/"):
        try:
            address = parse_address(text)
            said = f"{address} {address!r} {address.shown}"
        except InputError as error:
            said = str(error)
        assert password not in said
        assert password[:6] not in said


def test_text_is_masked() -> None:
    said = mask(
        "opening rtsp://u:pw@h/x failed, and https://h/hook?token=abc&fps=5, and postgresql+psycopg://u:pw@h/db"
    )
    assert (
        said == "opening rtsp://***@h/x failed, and https://h/hook?token=***&fps=5, and postgresql+psycopg://***@h/db"
    )
    assert mask("rtsp://admin:secret/x") == "rtsp://***"  # a password that lost its @
    assert mask("rtsp://host:554/x") == "rtsp://host:554/x"


def test_the_interface_reads_only_from_its_folders(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    allowed, secret = write_video(inside / "a.mp4", frames=2), write_video(outside / "b.mp4", frames=2)
    (inside / "link.mp4").symlink_to(secret)
    assert parse_address(str(allowed), roots=[inside]).url == f"file:{allowed}"
    bad = [str(secret), f"{inside}/../out/b.mp4", str(inside / "link.mp4"), f"file://{secret}", f"file:{secret}"]
    bad += [f"file://{inside}/%2e%2e/out/b.mp4", "/dev/video0", "/dev/../etc/passwd", "~root/.bashrc"]
    for text in bad:
        with pytest.raises(InputError):
            parse_address(text, roots=[inside])
    # nobody may feel out the disk: the sentence is the same for what is there and what is not
    with pytest.raises(InputError) as there:
        parse_address(str(secret), roots=[inside])
    with pytest.raises(InputError) as absent:
        parse_address(f"{secret}x", roots=[inside])
    assert str(there.value).replace("b.mp4", "b.mp4x") == str(absent.value)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "mov", "mpg", "flv"])
def test_usual_containers_open(suffix: str, tmp_path: Path) -> None:
    codec = "mpeg2video" if suffix == "mpg" else "libx264"
    address = parse_address(str(write_video(tmp_path / f"a 100% #1.{suffix}", codec=codec, frames=5)))
    with av.open(address.url, format=address.format, options=address.options) as container:
        assert len(list(container.decode(video=0))) == 5


def test_playlists_and_concat_files_do_not_open(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", frames=5)
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile {video.name}\n")
    with av.open(str(tmp_path / "concat.mp4"), format="concat") as container:  # it would open without our options
        assert next(container.decode(video=0)) is not None
    for name in ("list.mp4", "concat.mp4"):
        address = parse_address(str(tmp_path / name))
        with pytest.raises(av.error.FFmpegError):
            av.open(address.url, format=address.format, options=address.options)
