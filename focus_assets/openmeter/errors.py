"""What can go wrong between an OpenMeter server and this package; each message names the request.

What belongs here: the errors. What does not: when to try again (``transport``) and when to ask for less
(``splitting``).
"""

from __future__ import annotations

from typing import Any

from focus_assets.errors import FocusAssetsError


class OpenMeterError(FocusAssetsError):
    """Anything that keeps usage or a catalog from being read from OpenMeter; nothing was written."""


class ServerUnreachable(OpenMeterError):
    """The server did not answer, or broke off, on every try."""


class ServerTooSlow(ServerUnreachable):
    """The server took longer than the time limit: the question is too large for it."""


class AnswerCutShort(ServerUnreachable):
    """The connection ended within the answer, on every try; OpenMeter does so after 90 s of writing."""


class MalformedResponse(OpenMeterError):
    """An answer that is not what the interface says: no JSON, or a field missing or of the wrong kind."""


class UnexpectedRedirect(OpenMeterError):
    """The server sent us elsewhere; requests, and the token in them, go to the configured host only."""


class InconsistentPages(OpenMeterError):
    """Pages of a list that repeat, overlap or do not add up to the total they state."""


class InconsistentRows(OpenMeterError):
    """Rows of a meter query that were not asked for, or that stand twice."""


class ControlTotalDiffers(OpenMeterError):
    """A day's rows do not add up to the total that the server states for the day."""


class MeterMissing(OpenMeterError):
    """A meter of the catalog that the server does not have."""


class MeterChanged(OpenMeterError):
    """A meter of the catalog that the server has under the same slug, but that meters something else."""


class SubjectsMoved(OpenMeterError):
    """A customer's subjects are others now than on the day asked for, and the meter does not add up."""


class ValueTooLarge(OpenMeterError):
    """A metered value with more than 19 digits before the decimal point."""


class NotAnOpenMeter(OpenMeterError):
    """Neither the v3 nor the v1 interface answers at the configured address."""


class UnsupportedCatalogEntry(OpenMeterError):
    """A plan, item, feature or meter that OpenMeter has and that cannot be represented here yet."""


class UnsupportedInvoice(OpenMeterError):
    """Invoices that OpenMeter has and that cannot be read here yet."""


class ServerProblem(OpenMeterError):
    """An answer with an error status; ``instance`` is what the server's own log knows it by."""

    def __init__(
        self,
        request: str,
        status: int,
        *,
        title: str = "",
        detail: str = "",
        instance: str = "",
        retry_after: float | None = None,
        advice: str = "",
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.instance = instance
        self.retry_after = retry_after
        said = ": ".join(part for part in (title, detail) if part)
        text = f"{request} answered {status}" + (f" ({said})" if said else "")
        text += f", instance {instance}" if instance else ""
        text += f". {advice}" if advice else ". Nothing was written."
        super().__init__(text)

    @classmethod
    def of(cls, request: str, status: int, body: Any, *, retry_after: float | None) -> ServerProblem:
        """The error of a problem+json document; of anything else only the status is told."""
        told = body if isinstance(body, dict) else {}
        texts = {key: told[key] for key in ("title", "detail", "instance") if isinstance(told.get(key), str)}
        return _BY_STATUS.get(status, cls)(
            request, status, retry_after=retry_after, advice=_ADVICE.get(status, ""), **texts
        )


class NotAuthorized(ServerProblem):
    """The token is missing, wrong, or may not read this (401, 403)."""


class NotFound(ServerProblem):
    """The server does not have what was asked for (404)."""


_BY_STATUS = {401: NotAuthorized, 403: NotAuthorized, 404: NotFound}
_ADVICE = {
    401: "Set OPENMETER_TOKEN in the environment to a token that may read. Nothing was written.",
    403: "The token in OPENMETER_TOKEN may not read this. Nothing was written.",
    429: "The server asks for fewer requests: lower source.openmeter.concurrency. Nothing was written.",
}
