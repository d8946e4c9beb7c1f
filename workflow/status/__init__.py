"""Where a reproduction stands, from files alone, while jobs run; `resformer status` shows it."""
