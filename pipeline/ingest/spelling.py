"""How a value is written where values are compared: as a class of a label, or as a value that names a side of a split."""

from __future__ import annotations

import numpy as np


def spell(value: int | float | bytes, is_single: bool = True) -> str:
    """Spell a value as Transform does: 1, 01 and 1.0 are one class among numbers, three in text.

    Args:
      value: of a column.
      is_single: whether a float has 32 bits, as in a tf.Example, or 64.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(np.float32(value) if is_single else value)
    return str(value)


def spell_wanted(value: int | float | str, is_single: bool = False) -> str:
    """Spell a value of the config, where text is text and numbers have the precision that they are written with."""
    return spell(value.encode() if isinstance(value, str) else value, is_single)
