"""As many instances as keep the load of each at a target."""

import json
import math

from componentize_py_types import Err
from wit_world.imports.types import (
    Decision_Hold,
    Decision_ScaleTo,
    Description,
    InstanceState,
    Observation,
    Verdict,
)

SCHEMA = {
    "type": "object",
    "properties": {
        "target": {
            "description": "The load that one instance should have.",
            "type": "number",
            "exclusiveMinimum": 0,
        }
    },
    "required": ["target"],
    "additionalProperties": False,
}

# A series that has had no sample for so long is of an instance that is gone.
STALE_MS = 60_000


class WitWorld:
    """The three functions that Dynamite calls. Each call finds the module as it was built: nothing is kept in memory."""

    def describe(self) -> Description:
        return Description(
            name="keep-load",
            version="0.1.0",
            summary="As many instances as keep the load of each at a target",
            config_schema=json.dumps(SCHEMA),
        )

    def validate(self, config: str) -> None:
        target = json.loads(config).get("target")
        if not isinstance(target, (int, float)) or not target > 0:
            raise Err("`target` must be above 0")

    def decide(self, config: str, seen: Observation, state: bytes) -> Verdict:
        target = json.loads(config)["target"]
        window = seen.windows[0]
        fresh = [series for series in window.series if series.at and series.at[-1] >= seen.now - STALE_MS]
        newest = [series.values[-1] for series in fresh]
        if not newest:
            return verdict(Decision_Hold(), f"{window.metric} has no samples")
        load = sum(newest) / len(newest)
        ratio = load / target
        reason = f"{window.metric} is {load:.1f}, {ratio:.2f} of the target {target:.1f}"
        return verdict(Decision_ScaleTo(count_for(ratio, seen.service)), reason)


def count_for(ratio, service) -> int:
    """The instances for `ratio` times the load that all of them have, within the bounds of the service."""
    count = sum(instance.state != InstanceState.STOPPING for instance in service.instances)
    most = service.max_instances if service.max_instances is not None else 2**32 - 1
    wanted = count * ratio
    # 3 times 0.1 / 0.1 is a little more than 3, and still 3 instances.
    wanted -= abs(wanted) * 1e-12
    return math.ceil(max(service.min_instances, min(most, wanted)))


def verdict(decision, reason: str) -> Verdict:
    return Verdict(decision=decision, reason=reason, state=b"", wake_at=None)
