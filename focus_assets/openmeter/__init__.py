"""OpenMeter over HTTP: usage, the catalog and late events of a server.

What belongs here: the client, its wire models and what a day asks. What does not: event files (``cloudevents``)
and what usage costs (``rating``).
"""

from focus_assets.openmeter.errors import NotFound, OpenMeterError, ServerProblem, ServerUnreachable
from focus_assets.openmeter.invoices import invoices_now, unlinked
from focus_assets.openmeter.server import Server, described
from focus_assets.openmeter.snapshot import catalog_now
from focus_assets.openmeter.source import (
    OpenMeterRange,
    OpenMeterSource,
    ServerSettings,
    asked_once,
    server_input,
)
from focus_assets.openmeter.transport import Transport

__all__ = [
    "NotFound",
    "OpenMeterError",
    "OpenMeterRange",
    "OpenMeterSource",
    "Server",
    "ServerProblem",
    "ServerSettings",
    "ServerUnreachable",
    "Transport",
    "asked_once",
    "catalog_now",
    "described",
    "invoices_now",
    "server_input",
    "unlinked",
]
