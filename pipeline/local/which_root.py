"""The root that a command is about."""

from __future__ import annotations

from pathlib import Path

from pipeline.config_files import read_yaml
from pipeline.errors import ConfigError
from pipeline.local.run_folder import ARTIFACTS_FOLDER, PUSHED_FOLDER


def chosen_root(root: Path | None, config: Path | None) -> Path:
    """Return the root that is named, or that of the pipeline a config names.

    Raises:
      ConfigError: neither is given, or the config names no pipeline.
    """
    if root:
        return root
    if not config:
        raise ConfigError("Which root? Give --root, or --config for runs/<pipeline name>.")
    values = read_yaml(config)  # what else stands there need not be right any more
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        raise ConfigError(f"{config}: name: required, but not given. Or give --root instead.")
    return Path("runs") / values["name"]


def existing_root(root: Path | None, config: Path | None) -> Path:
    """Return the same, absolute, if something has run there.

    Raises:
      ConfigError: nothing has, or nobody says which root.
    """
    chosen = chosen_root(root, config).resolve()
    if not (chosen / ARTIFACTS_FOLDER).exists() and not (chosen / PUSHED_FOLDER).exists():
        raise ConfigError(f"Nothing has run in {chosen}. Give the --root of a run, or its --config.")
    return chosen
