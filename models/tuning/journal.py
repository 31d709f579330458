"""The journal of a search: what was proposed and how it ended, in order. A search that goes on has it told again."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from typing import Any, Literal

import tensorflow as tf

from models.tuning.trials import Trial

Event = Literal["began", "ended"]
_FOLDER = "journal"


class Journal:
    """Events of a search, each in a file of its own that is renamed into place: a kill leaves none by halves."""

    def __init__(self, folder: str):
        """Use a folder, local or remote, that is this search's own."""
        self._folder = os.path.join(folder, _FOLDER)
        tf.io.gfile.makedirs(self._folder)
        self._number = 0

    def read(self) -> list[tuple[Event, Trial]]:
        """Return what happened so far; after an event that cannot be read nothing is believed, and nothing kept."""
        events: list[tuple[Event, Trial]] = []
        for name in sorted(name for name in tf.io.gfile.listdir(self._folder) if name.endswith(".json")):
            event = self._event(name) if name == self._name(len(events)) else None
            if event:
                events.append(event)
            else:
                tf.io.gfile.remove(os.path.join(self._folder, name))
        self._number = len(events)
        return events

    def write(self, event: Event, trial: Trial) -> None:
        """Add an event."""
        path = os.path.join(self._folder, self._name(self._number))
        with tf.io.gfile.GFile(f"{path}.new", "w") as file:
            file.write(json.dumps({"event": event, "trial": asdict(trial)}))
        tf.io.gfile.rename(f"{path}.new", path, overwrite=True)
        self._number += 1

    def _name(self, number: int) -> str:
        return f"{number:06}.json"

    def _event(self, name: str) -> tuple[Event, Trial] | None:
        path = os.path.join(self._folder, name)
        try:
            with tf.io.gfile.GFile(path, "r") as file:
                content: dict[str, Any] = json.loads(file.read())
            return content["event"], Trial(**content["trial"])
        except (ValueError, KeyError, TypeError) as error:
            logging.warning("%s is damaged (%s): the search goes on from before it.", path, error)
            return None
