"""What can go wrong, as a tree.

PipelineError
├── ConfigError     the config, or what it says of the data, is wrong: nothing ran (exit code 2)
├── DataError       the data itself is wrong (a stage fails: exit code 1)
└── RootLockedError another run holds this root (exit code 4)
"""


class PipelineError(ValueError):
    """An error that a user can act on: its text says what, expected, received and the cure."""


class ConfigError(PipelineError):
    """The config file, a runtime file, or their description of the data is wrong."""


class DataError(PipelineError):
    """The data cannot be used as it is."""


class RootLockedError(PipelineError):
    """Another run is using the same root folder."""
