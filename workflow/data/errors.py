"""What is wrong with raw data, told so that a person can mend it."""


class DataError(ValueError):
    """Raw or prepared data cannot be used; the message names the file, and what to do."""
