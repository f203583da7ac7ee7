"""The server: who is let in, what is served, frames from a client, and Ctrl-C."""

import asyncio
import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import numpy as np
import pytest

import fastmlp
from fastmlp import playgrounds
from fastmlp.errors import DataError
from fastmlp.playgrounds import _frames, _playground, _server
from fastmlp.playgrounds._engine import PlayEngine
from fastmlp.playgrounds._settings import PlaySettings

from .conftest import FakePage, table
from .test_engine import junk

for package in ("starlette", "uvicorn", "websockets"):
    pytest.importorskip(package)
client = pytest.importorskip("websockets.asyncio.client")
exceptions = pytest.importorskip("websockets.exceptions")
connect, ConnectionClosed = client.connect, exceptions.ConnectionClosed


@pytest.fixture(scope="module")
def server():
    made = playgrounds.PlaygroundServer(PlayEngine(PlaySettings(data="xor", units=(4,))))
    made.start()
    for _ in range(100):
        if made._server.started:
            break
        time.sleep(0.02)
    yield made
    made.close()


def get(server, path=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.putrequest("GET", path or urlsplit(server.url).path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return found


def test_the_page_and_its_files_are_served_with_a_policy(server):
    status, body, headers = get(server)
    assert status == 200 and b"<title>fastmlp playground" in body
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["referrer-policy"] == "no-referrer"
    for name, path in _server.page_files().items():
        status, body, headers = get(server, urlsplit(server.url).path + name)
        assert status == 200 and body == path.read_bytes()


def test_no_address_lies_outside_of_this_machine():
    """Nothing that the page loads, and no script of ours, names another host."""
    for path in _server.PAGE.rglob("*"):
        if path.suffix not in (".html", ".js", ".css") or path.parent.name == "vendor":
            continue
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//\w+\.\w", text), path.name
    for path in (_server.PAGE / "vendor").glob("*"):
        if path.suffix in (".js", ".mjs"):
            text = path.read_text("utf-8")
            assert not re.search(r"\bfetch\(|XMLHttpRequest|import\s*\(|sendBeacon", text), (
                path.name
            )


def test_code_of_others_has_the_published_hashes():
    folder = _server.PAGE / "vendor"
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    known = dict(reversed(line.split("  ")) for line in lines)
    files = {path.name for path in folder.iterdir()} - {"SHA256SUMS", "README.md"}
    assert files == set(known)
    for name, digest in known.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    text = (folder / "README.md").read_text()
    assert all(f"`{name}`" in text for name in files if not name.startswith("LICENSE"))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/wrong/", {}, 403),
        ("/", {}, 404),
        ("/wrong/app.js", {}, 403),
        ("{token}../../../../etc/passwd", {}, 404),
        ("{token}..%2f..%2f_server.py", {}, 404),
        ("{token}%2e%2e/__init__.py", {}, 404),
        ("{token}/etc/passwd", {}, 404),
        ("{token}", {"Host": "evil.example"}, 403),
        ("{token}", {"Host": "evil.example:{port}"}, 403),
        ("{token}", {"Host": "127.0.0.1"}, 403),
        ("{token}", {"Origin": "http://evil.example"}, 403),
        ("{token}", {"Origin": "null"}, 403),
        ("{token}", {"Origin": "http://127.0.0.1:{port}"}, 200),
        ("{token}", {"Host": "localhost:{port}"}, 200),
    ],
)
def test_other_tokens_hosts_origins_and_paths_are_refused(server, path, headers, status):
    path = path.replace("{token}", urlsplit(server.url).path)
    headers = {k: v.replace("{port}", str(server.port)) for k, v in headers.items()}
    assert get(server, path, **headers)[0] == status


def address(server, token=None):
    return f"ws://127.0.0.1:{server.port}/{token or server.token}/play"


def own(server):
    return f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("token", "origin", "host"),
    [
        ("wrong", True, None),
        (None, None, None),
        (None, "http://evil.example", None),
        (None, "http://127.0.0.1", None),
        (None, True, "evil.example"),
    ],
)
def test_sockets_of_others_are_refused(server, token, origin, host):
    async def attempt():
        headers = {} if host is None else {"Host": host}
        given = own(server) if origin is True else origin
        async with connect(address(server, token), origin=given, additional_headers=headers):
            pass

    if host is not None:  # the client adds its own Host as well: two are refused, too
        with pytest.raises(exceptions.InvalidStatus):
            asyncio.run(attempt())
        return
    with pytest.raises(exceptions.InvalidStatus) as caught:
        asyncio.run(attempt())
    assert caught.value.response.status_code == 403


def test_a_page_plays_over_its_socket_and_the_latest_page_has_it(server):
    async def frame(socket, kind):
        while True:
            head, _ = _frames.unpack(await asyncio.wait_for(socket.recv(), 10))
            if head["kind"] == "frame":
                await socket.send(json.dumps({"do": "seen"}))
            if head["kind"] == kind:
                return head

    async def play():
        async with connect(address(server), origin=own(server), max_size=None) as first:
            await frame(first, "hello")
            start = time.monotonic()
            await first.send(json.dumps({"do": "set", "values": {"rate": 0.02}}))
            while (await frame(first, "settings"))["settings"]["rate"] != 0.02:
                pass
            answered = time.monotonic() - start
            async with connect(address(server), origin=own(server), max_size=None) as second:
                await frame(second, "hello")
                with pytest.raises(ConnectionClosed) as caught:
                    while True:
                        await asyncio.wait_for(first.recv(), 10)
                assert caught.value.rcvd.code == 4409
                await second.send(json.dumps({"do": "step", "epochs": 2}))
                while (await frame(second, "frame"))["steps"] < 2:
                    pass
        return answered

    assert asyncio.run(play()) < 1  # 0.1 with nothing else running; see test_browser.py


@pytest.mark.parametrize("n", [100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_frames_of_any_kind_from_a_client(server, n):
    rng = np.random.default_rng(n)

    async def attack():
        done = 0
        while done < n:
            with_closed = connect(address(server), origin=own(server), max_size=None)
            try:
                async with with_closed as socket:
                    for _ in range(50):
                        message = junk(rng)
                        if rng.uniform() < 0.02:
                            message = "x" * (1 << 17)  # longer than allowed: the socket is closed
                        done += 1
                        await socket.send(message)
                    await asyncio.sleep(0.002)
            except ConnectionClosed:
                pass

    asyncio.run(attack())
    while server._owner is not None:  # until the server has seen that the client is gone
        time.sleep(0.01)
    shown = FakePage(server.engine)
    shown.send("lesson", name="two-units")
    shown.wait("frame", lambda head: len(head["layers"]) == 2 and head["steps"] == 0, seconds=60)
    shown.send("step", epochs=3)
    shown.wait("frame", lambda head: head["steps"] == 3)
    assert server.engine._thread.is_alive() and get(server)[0] == 200


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.slow
def test_ctrl_c_ends_the_command_within_a_second():
    command = [sys.executable, "-c", "import sys; from fastmlp.cli import main; sys.exit(main())",
               "playground", "--no-browser", "--lesson", "l1"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://\S+", process.stderr.readline())[0]
        parts = urlsplit(url)

        async def play_and_interrupt():
            origin = f"http://{parts.netloc}"
            target = f"ws://{parts.netloc}{parts.path}play"
            async with connect(target, origin=origin, max_size=None) as socket:
                await socket.send('{"do": "play"}')
                for _ in range(20):
                    head, _ = _frames.unpack(await asyncio.wait_for(socket.recv(), 10))
                    await socket.send('{"do": "seen"}')
                assert head["kind"] == "frame"
                start = time.monotonic()
                process.send_signal(signal.SIGINT)
                while process.poll() is None and time.monotonic() < start + 10:
                    await asyncio.sleep(0.01)
                return time.monotonic() - start

        try:
            seconds = asyncio.run(play_and_interrupt())
            rest = process.stderr.read()
        finally:
            process.kill()
    assert process.returncode == 0 and seconds < 1
    assert "Traceback" not in rest


def test_a_taken_port_is_an_error(server):
    with pytest.raises(ValueError, match="port must be free"):
        fastmlp.playground(port=server.port, browser=False, block=False)


def test_the_function_opens_a_browser_and_returns_a_server(monkeypatch):
    seen = []
    monkeypatch.setattr(_playground.webbrowser, "open", seen.append)
    made = fastmlp.playground(table(100), "price", block=False)
    assert seen == [made.url]
    engine = made.engine
    assert engine.sessions["a"].data.task == "regression"
    made.close()
    assert not engine._thread.is_alive()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"target": "y"}, ValueError, "target names a column"),
        ({"lesson": "two-unit"}, ValueError, "two-units"),
        ({"data": {"a": [1, 2], "b": [1, 2]}, "target": "c"}, ValueError, "Unknown target"),
        ({"port": -1}, ValueError, "port must be"),
        (
            {"data": {"a": ["x", "y"] * 9, "b": [1.0, 2.0, 4.0] * 6}},
            DataError,
            "columns of numbers",
        ),
    ],
)
def test_arguments_that_are_not_possible(arguments, error, message):
    with pytest.raises(error, match=message):
        fastmlp.playground(**arguments, browser=False, block=False)
