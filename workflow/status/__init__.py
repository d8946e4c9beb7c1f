"""Where a reproduction stands: `python -m workflow.status`, from files alone, while jobs run."""
