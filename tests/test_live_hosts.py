"""Hosts that the API must not lead to: by every spelling, by name, and looked up anew at each opening."""

import socket
from dataclasses import replace

import pytest

from refinevad.apps.live.capture.source import Source, SourceLostError
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.live.settings.hosts import addresses_of, require_ordinary_host
from refinevad.errors import InputError


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",  # RFC 3927, and where clouds hand out credentials
        "2852039166",  # 169 * 2**24 + 254 * 2**16 + 169 * 2**8 + 254
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "fe80::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",  # RFC 6052
        "2002:a9fe:a9fe::1",  # RFC 3056
        "64:ff9b:1:a9fe:a9:fe00::",  # RFC 6052 behind 48 bits of RFC 8215
        "64:ff9b:1:0:a9:fea9:fe00:0",  # behind 64
        "64:ff9b:1:a9:fe:a9fe::",  # behind 56
        "64:ff9b:1::a9fe:a9fe",  # behind 96
        "::169.254.169.254",  # RFC 4291, IPv4-compatible
        "::a9fe:a9fe",
        "0:0:0:0:0:0:a9fe:a9fe",
        "::ffff:0:169.254.169.254",  # RFC 2765, IPv4-translated
        "::ffff:a9fe:a9fe",
        "2001:0:a9fe:a9fe::1",  # RFC 4380, Teredo: the server
        "2001:0:808:808::5601:5601",  # the client, its bits turned
        "fd00::5efe:169.254.169.254",  # RFC 5214, ISATAP
        "fd00::200:5efe:a9fe:a9fe",
        "::ffff:0.0.0.0",
        "::100.100.100.200",
        "2002:6464:64c8::",  # 100.100.100.200 by 6to4
        "0xa9.0xfe.0xa9.0xfe",
        "0251.254.0xa9fe",
        "00000251.0376.0251.0376",
        "fe80::1%lo",
        "fd00:ec2::254",
        "100.100.100.200",
        "0.0.0.0",
        "0",
        "::",
        "224.0.0.1",
        "239.255.255.250",
        "ff02::1",
        "255.255.255.255",
    ],
)
def test_no_spelling_leads_there(host: str) -> None:
    with pytest.raises(InputError, match=r"only be watched from the operator's cameras\.toml"):
        require_ordinary_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.5",
        "192.168.1.9",
        "127.0.0.1",
        "::1",
        "8.8.8.8",
        "fd12::1",
        "169.253.255.255",
        "::ffff:10.0.0.5",
        "::10.0.0.5",
        "64:ff9b::a00:5",
        "64:ff9b:1::a00:5",
        "64:ff9b:1:a00:0:500::",
        "2002:a00:5::1",
        "2001:0:808:808::f5ff:fffa",
        "::7f00:1",
    ],
)
def test_machines_in_a_network_are_reached(host: str) -> None:
    require_ordinary_host(host)


def test_every_address_of_a_name_is_looked_at() -> None:
    require_ordinary_host("camera", lambda name: ["10.0.0.5", "10.0.0.6"])
    with pytest.raises(InputError, match=r"camera leads to 169\.254\.1\.1, a link-local address"):
        require_ordinary_host("camera", lambda name: ["10.0.0.5", "169.254.1.1"])
    with pytest.raises(InputError, match="not known here"):
        require_ordinary_host("no-such-host.invalid")  # RFC 2606: never there
    assert "127.0.0.1" in addresses_of("localhost")


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https"])
def test_only_what_came_in_by_the_api_is_held_against_it(scheme: str) -> None:
    text = f"{scheme}://user:pw@169.254.169.254/latest"
    parse_address(text).require_allowed()  # the operator's own
    with pytest.raises(InputError, match="link-local") as refused:
        parse_address(text, roots=[]).require_allowed()
    assert "pw" not in str(refused.value)
    for odd in (f"{scheme}://10.0.0.5\\@169.254.169.254/", f"{scheme}://10.0.0.5*/", f"{scheme}://[::1]169.254.1.1/"):
        with pytest.raises(InputError):  # which of them is the host, programs disagree
            parse_address(odd, roots=[]).require_allowed()


def test_a_name_is_looked_up_at_each_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was ordinary when the camera was added, and leads elsewhere now."""
    address = replace(parse_address("http://camera.example/a.mp4"), by_api=True)
    address.require_allowed(lambda name: ["10.0.0.5"])
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [place])
    with pytest.raises(SourceLostError, match="link-local"):
        Source(address, stall_s=1.0)


def test_what_is_opened_is_the_address_that_was_looked_at() -> None:
    """The name is not asked for again; an HTTP server still hears it."""
    for text, url, options in (
        ("rtsp://u:p%40@camera.example/a?b=c", "rtsp://u:p%40@10.0.0.5/a?b=c", {}),
        ("rtsps://camera.example:8322/a", "rtsps://10.0.0.5:8322/a", {}),
        ("http://camera.example/a", "http://10.0.0.5/a", {"headers": "Host: camera.example\r\n"}),
        ("http://u:p@camera.example:81/", "http://u:p@10.0.0.5:81/", {"headers": "Host: camera.example:81\r\n"}),
        ("https://camera.example/a", "https://camera.example/a", {}),  # the certificate goes by the name
    ):
        operators = parse_address(text)
        assert operators.looked_up(lambda name: ["169.254.1.1"]) == operators
        address = parse_address(text, roots=[])
        opened = address.looked_up(lambda name: ["10.0.0.5"])
        assert (opened.url, opened.shown) == (url, address.shown)
        assert {key: value for key, value in opened.options.items() if key == "headers"} == options
        with pytest.raises(InputError, match="link-local"):
            address.looked_up(lambda name: ["169.254.1.1"])
    assert parse_address("rtsp://cam/a", roots=[]).looked_up(lambda name: ["fd00::5"]).url == "rtsp://[fd00::5]/a"
    assert parse_address("http://0x7f.1:81/", roots=[]).looked_up().url == "http://127.0.0.1:81/"


def test_of_several_addresses_one_that_answers_is_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        address = parse_address(f"rtsp://camera.example:{port}/a", roots=[])
        opened = address.looked_up(lambda name: ["127.0.0.2", "127.0.0.1", "127.0.0.1"])
        assert opened.url == f"rtsp://127.0.0.1:{port}/a"
    silent = address.looked_up(lambda name: ["127.0.0.2", "127.0.0.1"])
    assert silent.url == f"rtsp://127.0.0.2:{port}/a"
