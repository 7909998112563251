"""A model hub on loopback that speaks as much of Hugging Face's API as huggingface_hub asks for a model's files.

Repositories with commits, branches, large files by git-lfs's protocol, private ones that want a token. `said` lists
every request by method and path.
"""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"
LARGE = ".safetensors"


@dataclass
class Repository:
    """Commits, oldest first: each its name and what files it has."""

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def commit(self, changed: dict[str, bytes | None]) -> str:
        """Files changed, and with None removed; the commit's name."""
        files = {**(self.commits[-1][1] if self.commits else {}), **changed}
        kept = {name: content for name, content in files.items() if content is not None}
        text = json.dumps([len(self.commits), sorted((n, hashlib.sha1(c).hexdigest()) for n, c in kept.items())])
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.commits.append((sha, kept))
        return sha

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((one for one in self.commits if one[0] == revision), None)


class Hub(ThreadingHTTPServer):
    """The hub; `address` is its endpoint."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.said: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def make(self, name: str, files: dict[str, bytes], private: bool = False) -> str:
        """A repository with one commit; its name."""
        self.repositories[name] = Repository(private)
        return self.repositories[name].commit({".gitattributes": b"*.safetensors filter=lfs\n", **files})

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Answers(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        self._get()

    def do_GET(self) -> None:
        self._get()

    def do_PUT(self) -> None:
        content = self._body()
        oid = self._path().rpartition("/")[2]
        good = hashlib.sha256(content).hexdigest() == oid
        if good:
            self.server.large[oid] = content
        self._answer(200 if good else 400, {})

    def do_POST(self) -> None:
        path, content = self._path(), self._body()
        if path == "/api/validate-yaml":
            said = json.loads(content)["content"]
            self._answer(200 if said.startswith("---\n") else 400, {"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid username or password."})
        elif path == "/api/repos/create":
            self._create(json.loads(content))
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch(json.loads(content))
        else:
            self._of_repository(path.removeprefix("/api/models/").split("/"), content)

    def _create(self, asked: dict) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        there = name in self.server.repositories
        if not there:
            self.server.make(name, {}, asked.get("visibility") == "private" or bool(asked.get("private")))
        self._answer(409 if there else 200, {"url": f"{self.server.address}/{name}", "id": name})

    def _batch(self, asked: dict) -> None:
        rows = [
            {**one, "actions": {"upload": {"href": f"{self.server.address}/lfs/{one['oid']}", "header": {}}}}
            for one in asked["objects"]
        ]
        self._answer(200, {"transfer": "basic", "objects": rows})

    def _of_repository(self, parts: list[str], content: bytes) -> None:
        owner, name, verb, _ = parts
        repository = self.server.repositories.get(f"{owner}/{name}")
        if repository is None:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif verb == "preupload":
            files = json.loads(content)["files"]
            modes = [("lfs" if one["path"].endswith(LARGE) else "regular", one["path"]) for one in files]
            told = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for mode, path in modes]
            self._answer(200, {"files": told})
        else:
            changed: dict[str, bytes | None] = {}
            for line in map(json.loads, content.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    changed[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    changed[value["path"]] = self.server.large[value["oid"]]
                elif line["key"] == "deletedFile":
                    changed[value["path"]] = None
            sha = repository.commit(changed)
            url = f"{self.server.address}/{owner}/{name}/commit/{sha}"
            self._answer(200, {"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""})

    def _get(self) -> None:
        parts = self._path().strip("/").split("/")
        listing = parts[:2] == ["api", "models"]
        owner, name, *rest = parts[2:] if listing else parts
        repository = self.server.repositories.get(f"{owner}/{name}")
        seen = repository is not None and (
            not repository.private or self.headers.get("Authorization") == f"Bearer {TOKEN}"
        )
        if repository is None or not seen:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return
        found = repository.at(rest[1] if len(rest) > 1 else "main")
        if found is None:
            self._answer(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
            return
        sha, files = found
        if not listing:
            self._file(sha, files.get("/".join(rest[2:])))
        elif rest[:1] == ["tree"]:
            self._answer(200, [{"type": "file", "path": path, **_blob(content)} for path, content in files.items()])
        else:
            siblings = [{"rfilename": path, **_blob(content)} for path, content in files.items()]
            facts = {"id": f"{owner}/{name}", "modelId": f"{owner}/{name}", "sha": sha, "private": repository.private}
            self._answer(200, {**facts, "tags": [], "downloads": 0, "likes": 0, "siblings": siblings})

    def _file(self, sha: str, content: bytes | None) -> None:
        if content is None:
            self._answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        etag = hashlib.sha256(content).hexdigest()
        kind = "application/octet-stream"
        self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": sha, "Content-Type": kind})

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        if not hasattr(self, "_told") or self._told is not self.headers:
            self._told = self.headers
            self.server.said.append(f"{self.command} {path}")
        return path

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _blob(content: bytes) -> dict[str, object]:
    sha = hashlib.sha1(content).hexdigest()
    return {"size": len(content), "oid": sha, "blobId": sha}
