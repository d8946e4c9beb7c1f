"""The errors that end a step or a command with a message instead of a traceback."""


class ConfigError(ValueError):
    """The configuration cannot be used; the message says which key, why, and what to do."""


class UsageError(ConfigError):
    """A command was given what it does not take; the message says what it does take."""


class DataError(ValueError):
    """Raw or prepared data cannot be used; the message names the file, and what to do."""
