"""A point of a study's space, at random: the rehearsal tries what trials do, not how well Vizier searches."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any


def suggest(specs: Sequence[Any], chance: random.Random) -> dict[str, Any]:
    """Return {parameter: value}; of conditional parameters those that the values of others ask for.

    Args:
      specs: ParameterSpecs of a StudySpec.
      chance: where the values come from.
    """
    point: dict[str, Any] = {}
    for spec in specs:
        value = _value(spec, chance)
        point[spec.parameter_id] = value
        asked = [child.parameter_spec for child in spec.conditional_parameter_specs if value in _wanted(child)]
        point |= suggest(asked, chance)
    return point


def _value(spec: Any, chance: random.Random) -> Any:
    kind = type(spec).pb(spec).WhichOneof("parameter_value_spec")
    values = getattr(spec, kind)
    if kind in ("categorical_value_spec", "discrete_value_spec"):
        return chance.choice(list(values.values))
    low, high = values.min_value, values.max_value
    if spec.scale_type.name == "UNIT_LOG_SCALE":
        number = math.exp(chance.uniform(math.log(low), math.log(high)))
    else:
        number = chance.uniform(low, high)
    return min(high, max(low, round(number))) if kind == "integer_value_spec" else min(high, max(low, number))


def _wanted(child: Any) -> list[Any]:
    kind = type(child).pb(child).WhichOneof("parent_value_condition")
    return list(getattr(child, kind).values)
