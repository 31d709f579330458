"""Scikit-learn on the very rows of a taxi run: what the pipeline's model is measured against.

    python benchmarks/reference_models.py [--root runs/taxi]

Reads the examples that ExampleGen wrote, so both sides see the same split; `tips` is left out, as in configs/taxi.yaml.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
import tensorflow as tf
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

LABEL = "big_tipper"
# The first gives the label away, the second is empty but for one row.
LEFT_OUT = ["tips", "pickup_census_tract"]
TEXT = make_column_selector(dtype_include=object)
NUMBERS = make_column_selector(dtype_exclude=object)


def read_split(root: Path, split: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return features and label of a split of the newest examples."""
    newest = max((root / "artifacts" / "ExampleGen" / "examples").iterdir(), key=lambda path: int(path.name))
    files = [str(path) for path in (newest / f"Split-{split}").iterdir()]
    rows = []
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        rows.append({name: _value(feature) for name, feature in features.items()})
    table = pd.DataFrame(rows)
    return table.drop(columns=[LABEL, *LEFT_OUT], errors="ignore"), table[LABEL]


def _value(feature: tf.train.Feature) -> float | str | None:
    kind = feature.WhichOneof("kind")
    if kind is None:
        return None
    values = getattr(feature, kind).value
    return values[0].decode() if isinstance(values[0], bytes) else float(values[0])


def main() -> None:
    """Fit, score, print one JSON line a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/taxi"))
    root = parser.parse_args().root
    (train, train_label), (test, test_label) = read_split(root, "train"), read_split(root, "eval")
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    one_hot = OneHotEncoder(handle_unknown="ignore", min_frequency=5)
    numeric = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    models = {
        "HistGradientBoosting": make_pipeline(
            make_column_transformer((ordinal, TEXT), remainder="passthrough"), HistGradientBoostingClassifier(random_state=0)
        ),
        "LogisticRegression": make_pipeline(
            make_column_transformer((one_hot, TEXT), (numeric, NUMBERS)), LogisticRegression(max_iter=1000)
        ),
    }
    for name, model in models.items():
        scores = model.fit(train, train_label).predict_proba(test)[:, 1]
        result = {"auc": roc_auc_score(test_label, scores), "accuracy": accuracy_score(test_label, scores > 0.5)}
        print(json.dumps({"model": name, **{key: round(value, 4) for key, value in result.items()}}))


if __name__ == "__main__":
    main()
