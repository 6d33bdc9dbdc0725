"""Holds every request and response to OpenMeter's own OpenAPI documents, wherever these lie.

What belongs here: finding the operation and judging bodies and parameters. What does not: faults, which spoil
answers after they were judged.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml
from openapi_schema_validator import OAS30Validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared" / "openmeter"


def folder() -> Path:
    """Where ``openapi-v1.yaml`` and ``openapi-v3.yaml`` are looked for."""
    return Path(os.environ.get("FOCUS_ASSETS_OPENAPI") or _BESIDE_THE_PROJECT)


def available() -> bool:
    """Whether both documents are there."""
    return all((folder() / f"openapi-{version}.yaml").is_file() for version in ("v1", "v3"))


class NotWhatTheInterfaceSays(AssertionError):
    """A request or response that the OpenAPI document does not allow."""


class Validated:
    """An application whose requests and responses are judged, where the documents are there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.judged = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not available():
            await self._app(scope, receive, send)
            return
        asked, messages = bytearray(), list[Message]()

        async def receiving() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receiving, sending)
        if messages[0]["status"] == 200:
            body = b"".join(message.get("body", b"") for message in messages)
            judge(scope["method"], scope["path"], scope["query_string"].decode(), bytes(asked), body)
            self.judged += 1
        # Only now: what is judged after it went out over a network fails no test.
        for message in messages:
            await send(message)


@cache
def judge(method: str, path: str, query: str, asked: bytes, answered: bytes) -> None:
    """Raise :class:`NotWhatTheInterfaceSays` unless the exchange is one the interface allows."""
    version, template = ("v3", path.removeprefix("/api/v3")) if path.startswith("/api/v3") else ("v1", path)
    document = _document(version)
    for known, operations in document["paths"].items():
        if method.lower() in operations and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", known), template):
            operation = operations[method.lower()]
            break
    else:
        raise NotWhatTheInterfaceSays(f"{version} has no {method} {template}")
    _judge_parameters(document, operation, query)
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        _judge_body(document, schema, asked, f"request {method} {path}")
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    _judge_body(document, schema, answered, f"response of {method} {path}")


def _judge_parameters(document: dict[str, Any], operation: dict[str, Any], query: str) -> None:
    known = {}
    for parameter in operation.get("parameters", ()):
        if "$ref" in parameter:
            parameter = document["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[-1]]
        known[parameter["name"]] = parameter
    for key, _ in parse_qsl(query):
        name, *within = re.findall(r"[^\[\]]+", key)
        if name not in known:
            raise NotWhatTheInterfaceSays(f"no parameter {name!r} in {sorted(known)}")
        schema = _resolved(document, known[name]["schema"])
        for part in within:
            alternatives = [schema, *(_resolved(document, s) for s in schema.get("anyOf", ()))]
            properties = [s["properties"][part] for s in alternatives if part in s.get("properties", {})]
            if not properties:
                raise NotWhatTheInterfaceSays(f"parameter {key!r} has no {part!r}")
            schema = _resolved(document, properties[0])


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while (
        "$ref" in schema
        or set(schema) == {"allOf"}
        or (len(schema.get("allOf", ())) == 1 and "type" not in schema)
    ):
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        else:
            schema = schema["allOf"][0]
    return schema


def _judge_body(document: dict[str, Any], schema: dict[str, Any], body: bytes, what: str) -> None:
    root = {**schema, "components": document["components"]}
    error = next(iter(OAS30Validator(root).iter_errors(json.loads(body))), None)
    if error is not None:
        raise NotWhatTheInterfaceSays(f"{what}: {error.json_path}: {error.message:.300}")


@cache
def _document(version: str) -> dict[str, Any]:
    text = (folder() / f"openapi-{version}.yaml").read_text(encoding="utf-8")
    loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return _with_nulls(loaded)  # type: ignore[no-any-return]


def _with_nulls(node: Any) -> Any:
    """``nullable`` beside ``allOf`` means that null may stand there, as OpenMeter's server puts it.

    By the letter of OpenAPI 3.0 the referred schema would still refuse null, and a tier without a flat part, whose
    ``flatPrice`` is required, could not be told at all.
    """
    if isinstance(node, list):
        return [_with_nulls(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _with_nulls(value) for key, value in node.items()}
    if found.get("nullable") is True and isinstance(found.get("allOf"), list):
        return {
            "anyOf": [{"type": "object", "nullable": True, "maxProperties": 0}, {"allOf": found["allOf"]}]
        }
    return found
