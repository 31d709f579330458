"""A pipeline of a few hundred rows, for tests that run it many times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml


def write_config(folder: Path, **sections: Any) -> Path:
    """Write data and config; every stage there is has something to do, but for compression, which takes half of the time.

    Args:
      folder: for both.
      **sections: of the config, that differ.

    Returns:
      The config file.
    """
    random = np.random.default_rng(1)
    fare = random.gamma(2, 8, 600)
    miles = fare / 3 + random.normal(0, 1, 600)
    payment = random.choice(["cash", "card", "none"], 600)
    tipped = ((fare > 14) ^ (payment == "cash")).astype(int)
    rows = "".join(f"{a:.2f},{b:.2f},{c},{d}\n" for a, b, c, d in zip(fare, miles, payment, tipped, strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.csv").write_text(f"fare,miles,payment,tipped\n{rows}")
    values = {
        "name": "small",
        "task": "tabular",
        "data": {"path": str(folder / "data.csv")},
        "label": {"kind": "binary", "column": "tipped", "positive": 1},
        "features": {"fare": {"kind": "numeric"}, "miles": {"kind": "numeric"}, "payment": {"kind": "categorical"}},
        "model": {"hidden": [16, 8], "dropout": 0.2},
        "fit": {"epochs": 6, "batch_size": 32, "learning_rate": 0.01},
        "evaluation": {"metrics": ["auc"], "slices": [["payment"]]},
        "gates": [{"kind": "bound", "metric": "auc", "bound": 0.5}],
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(values | sections))
    return file


COMPRESSION = {"compression": {"recipes": ["dynamic"], "gates": {"metric": "auc", "max_loss": 0.05}}}


def write_small_taxi_config(repository: Path, folder: Path, compression: dict[str, Any]) -> Path:
    """Write the taxi config with three features, two epochs, one gate and no schema; return the file."""
    values = yaml.safe_load((repository / "configs" / "taxi.yaml").read_text())
    del values["schema_file"]
    values["features"] = {name: values["features"][name] for name in ("fare", "trip_miles", "payment_type")}
    values["gates"] = [{"kind": "bound", "metric": "auc", "bound": 0.5}]
    values["fit"]["epochs"] = 2
    values["evaluation"]["slices"] = [["payment_type"]]
    values["compression"] = compression
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    return file
