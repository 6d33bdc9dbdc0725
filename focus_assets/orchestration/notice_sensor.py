"""The sensor that sends notices of deliveries that are still owed: a receiver was down, or a run died before.

What belongs here: asking and telling. What does not: which are owed and how they are sent (``delivery.notices``). A run
that delivers sends its own notices; this one asks for no run.
"""

import dagster as dg

from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.resources import LakeResource
from focus_assets.settings import Settings
from focus_assets.signing import send_notices


def notice_sensor(settings: Settings) -> dg.SensorDefinition:
    """Sends what is owed at each tick; what is not taken is tried again at the next."""

    @dg.sensor(
        name="notice_sensor",
        target=None,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Sends notices of deliveries that no receiver took yet. A delivery never waits for its notice: it stands "
            "once its manifest is in place."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SkipReason:
        with explained():
            unsent = send_notices(lake.open(), settings.destinations)
        for each in unsent:
            context.log.warning(str(each))
        return dg.SkipReason("\n".join(map(str, unsent)) or "Every delivery has been told of.")

    return sensor
