"""Connecting to a server: which interface it has, and the one we ask.

What belongs here: the probe. What does not: the interfaces (``v3``, ``v1``).
"""

from __future__ import annotations

from dataclasses import dataclass

from focus_assets.openmeter.errors import MalformedResponse, NotAnOpenMeter, NotFound
from focus_assets.openmeter.transport import Transport
from focus_assets.openmeter.v1 import V1
from focus_assets.openmeter.v3 import V3


@dataclass(frozen=True)
class Server:
    """A server's interfaces: ``api`` is the one to ask first, ``v1`` has prices and items' history.

    ``v1`` is absent where only v3 is offered, as on Konnect.
    """

    transport: Transport
    v3: V3 | None
    v1: V1 | None

    @property
    def api(self) -> V3 | V1:
        """v3 where the server has it."""
        found = self.v3 or self.v1
        assert found is not None, "a probe gives one interface at least"
        return found

    @property
    def title(self) -> str:
        """What ``doctor`` says of it."""
        which = " and ".join(api.name for api in (self.v3, self.v1) if api is not None)
        software = f", server {self.transport.server}" if self.transport.server else ""
        return f"{self.transport.url} answers {which}{software}"


async def described(server: Server) -> str:
    """The server, its interfaces and how many meters it has, in a sentence."""
    return f"{server.title}; it has {len(await server.api.meters_by_slug())} meters"


async def probe(transport: Transport) -> Server:
    """Find out which interfaces the server has, by one small request to each. Raises OpenMeterError."""
    # Konnect and OpenMeter's own cloud may be named by their v3 address; v1 is then out of reach.
    if transport.url.endswith("/v3"):
        if not await _answers(transport, "/openmeter/meters", "page[size]"):
            raise NotAnOpenMeter(f"{transport.url}: /openmeter/meters does not exist there. {_ADVICE}")
        return Server(transport, V3(transport, root=""), None)
    v3 = await _answers(transport, "/api/v3/openmeter/meters", "page[size]")
    v1 = await _answers(transport, "/api/v1/meters", "pageSize")
    if not v3 and not v1:
        raise NotAnOpenMeter(
            f"{transport.url}: neither /api/v3/openmeter/meters nor /api/v1/meters exists there. {_ADVICE}"
        )
    return Server(transport, V3(transport) if v3 else None, V1(transport) if v1 else None)


_ADVICE = (
    "Set source.openmeter.url to the server's address, such as http://localhost:8888 or "
    "https://us.api.konghq.com/v3. Nothing was written."
)


async def _answers(transport: Transport, path: str, page_size: str) -> bool:
    try:
        document = await transport.get(path, [(page_size, "1")])
    except NotFound:
        return False
    if not isinstance(document, dict | list):
        raise MalformedResponse(f"GET {path}: the answer is no list of meters")
    return True
