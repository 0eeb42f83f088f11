"""From a suite to cells: resolve, check, expand; nothing is written here."""
