"""The two errors that end a step with a message instead of a traceback."""


class ConfigError(ValueError):
    """The configuration cannot be used; the message says which key, why, and what to do."""


class DataError(ValueError):
    """Raw or prepared data cannot be used; the message names the file, and what to do."""
