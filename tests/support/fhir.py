"""A FHIR R4 server for tests: transactions with conditional create, conditional update and references.

It keeps the rules of http://hl7.org/fhir/R4/http.html#transaction that the export relies on, and refuses a
resource that `fhir.resources` does not accept. It can be told to fail.
"""

from __future__ import annotations

import copy
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs

import pytest

Resource = dict[str, Any]


class RefusedError(Exception):
    """A status and an explanation, for an OperationOutcome."""


def validate(resource: Resource) -> None:
    """Raise ValueError unless R4 allows the resource. R4B changed none of those that are sent."""
    kind = resource["resourceType"]
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    model.model_validate(resource)
    for each in (resource, *(entry["resource"] for entry in resource.get("entry", ()))):
        # The invariant ras-2, which fhir.resources does not check.
        assert all(0 <= found["probabilityDecimal"] <= 100 for found in each.get("prediction", ()))


class FhirServer:
    """``faults`` are met by the next requests: an HTTP status, ``lost`` (answer), ``unheard``
    (request) or ``half`` (an entry that failed).
    """

    def __init__(self, token: str | None = None) -> None:
        self.resources: dict[str, dict[str, Resource]] = defaultdict(dict)
        self.faults: list[int | str] = []
        self.refused: set[str] = set()
        """Values of identifiers that the server refuses."""
        self.posts = 0
        self.on_carried_out: Callable[[], bool] | None = None
        """Called after a transaction; False: it is not answered."""
        server, lock = self, Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # headers and body in one packet

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    server.posts += 1
                    fault = server.faults.pop(0) if server.faults else None
                    if fault == "unheard":
                        self.close_connection = True
                        return
                    if isinstance(fault, int):
                        self._answer(fault, {})
                        return
                    if token and self.headers["Authorization"] != f"Bearer {token}":
                        self._answer(401, {})
                        return
                    if self.path != "/fhir":
                        self._answer(404, {})
                        return
                    status, answer = server.carry_out(json.loads(body))
                if fault == "lost" or (server.on_carried_out and not server.on_carried_out()):
                    self.close_connection = True
                    return
                if fault == "half":  # as some servers that are not transactional
                    answer["entry"][-1]["response"]["status"] = "400 Bad Request"
                self._answer(status, answer)

            def _answer(self, status: int, body: Resource) -> None:
                content = json.dumps(body).encode() if body else b"<html>"
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/fhir"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, kind: str) -> list[Resource]:
        """The resources of a kind, in the order of their creation."""
        return list(self.resources[kind].values())

    def carry_out(self, bundle: Resource) -> tuple[int, Resource]:
        """All of a transaction, or nothing."""
        before = defaultdict(dict, {kind: dict(each) for kind, each in self.resources.items()})
        try:
            assert bundle["type"] == "transaction"
            validate(bundle)
            answers, ids = [], {}
            for entry in bundle["entry"]:
                place, status = self._place(entry)
                ids[entry["fullUrl"]] = place
                answers.append((entry, place, status))
            return 200, {
                "resourceType": "Bundle",
                "type": "transaction-response",
                "entry": [{"response": self._write(*answer, ids)} for answer in answers],
            }
        except RefusedError as error:
            self.resources = before
            issue = {"severity": "error", "code": "processing", "diagnostics": error.args[1]}
            return error.args[0], {"resourceType": "OperationOutcome", "issue": [issue]}

    def _place(self, entry: Resource) -> tuple[str, str]:
        """Where an entry is to be: type and id, and the HTTP status of its answer."""
        request, kind = entry["request"], entry["resource"]["resourceType"]
        search = request.get("ifNoneExist") or request["url"].partition("?")[2]
        assert search, "every request must be conditional"
        found = self._search(kind, search)
        if len(found) > 1:
            raise RefusedError(412, "several resources match")
        if found:
            return found[0], "200 OK"
        number = f"{kind}/{len(self.resources[kind]) + 1}"
        self.resources[kind][number] = {"resourceType": kind, "meta": {"versionId": "0"}}
        return number, "201 Created"

    def _write(self, entry: Resource, place: str, status: str, ids: dict[str, str]) -> Resource:
        kind = entry["resource"]["resourceType"]
        kept = self.resources[kind][place]
        version = int(kept["meta"]["versionId"])
        if status.startswith("201") or entry["request"]["method"] == "PUT":
            version += 1
            resource = self._resolved(copy.deepcopy(entry["resource"]), ids)
            for identifier in resource.get("identifier", ()):
                if identifier["value"] in self.refused:
                    raise RefusedError(422, "this server does not want it")
            resource["meta"] = resource.get("meta", {}) | {"versionId": str(version)}
            self.resources[kind][place] = resource
        location = f"{self.url}/{place}/_history/{version}"
        return {"status": status, "location": location, "etag": f'W/"{version}"'}

    def _resolved(self, node: Any, ids: dict[str, str]) -> Any:
        """Literal references in the place of those to other entries, and of conditional ones."""
        if isinstance(node, list):
            return [self._resolved(each, ids) for each in node]
        if not isinstance(node, dict):
            return node
        made = {name: self._resolved(value, ids) for name, value in node.items()}
        reference = made.get("reference")
        if isinstance(reference, str):
            made["reference"] = self._resolve(reference, ids)
        return made

    def _resolve(self, reference: str, ids: dict[str, str]) -> str:
        if reference.startswith("urn:uuid:"):
            return ids[reference]
        kind, _, search = reference.partition("?")
        found = self._search(kind, search)
        if len(found) != 1:
            raise RefusedError(412, f"{len(found)} resources match a conditional reference")
        return found[0]

    def _search(self, kind: str, search: str) -> list[str]:
        assert re.fullmatch(r"[\w.%=-]+", search), "everything else must be percent-encoded"
        [(name, [value])] = parse_qs(search, strict_parsing=True).items()
        system, _, code = value.partition("|")
        return [key for key, each in self.resources[kind].items() if (system, code) in _tokens(each, name)]


def _tokens(resource: Resource, name: str) -> set[tuple[str, str]]:
    if name == "identifier":
        return {(each["system"], each["value"]) for each in resource.get("identifier", ())}
    assert name == "_tag"
    return {(each["system"], each["code"]) for each in resource.get("meta", {}).get("tag", ())}


@pytest.fixture
def fhir_server() -> Iterator[FhirServer]:
    """A server that asks for the token ``sesame``."""
    server = FhirServer("sesame")
    yield server
    server.close()
