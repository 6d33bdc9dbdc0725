"""The JSON paths of meters, as DuckDB understands them.

OpenMeter's paths are SQL/JSON paths into an event's ``data``. Members and array positions are supported;
wildcards, filters and descent would give several values and are refused.
"""

from __future__ import annotations

import re

from focus_assets.cloudevents.errors import UnsupportedJsonPath

_STEP = re.compile(
    r"""\.(?P<bare>[^.\[\]"'*?@()\s]+)        # .name
      | \."(?P<dotted>[^"]+)"                 # ."a name"
      | \["(?P<double>[^"]+)"\]               # ["a name"]
      | \['(?P<single>[^'"]+)'\]              # ['a name']
      | \[(?P<position>\d{1,9})\]             # [0]
    """,
    re.VERBOSE,
)


def path_in_event(path: str, meter: str, key: str) -> str:
    """``$.tokens`` of a meter as the path from the event's root, ``$.data."tokens"``.

    ``meter`` and ``key`` (``value_property`` or the dimension) name the place in the error.
    Raises UnsupportedJsonPath for anything but members and array positions.
    """
    steps = ["$.data"]
    at = 1
    while path.startswith("$") and at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            break
        if step["position"] is not None:
            steps.append(f"[{int(step['position'])}]")
        else:
            steps.append(f'."{next(filter(None, step.groups()))}"')
        at = step.end()
    if not path.startswith("$") or at != len(path):
        raise UnsupportedJsonPath(
            f"meter {meter!r}, {key}: the JSON path {path!r} cannot be metered. A path begins with $ and goes "
            "on with members and positions, such as $.tokens, $.usage['input tokens'] or "
            "$.items[0]; wildcards and filters are not supported. Nothing was written."
        )
    return "".join(steps)
