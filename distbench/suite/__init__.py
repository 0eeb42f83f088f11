"""From suite file, overrides or flags to one validated `Suite`, with errors that name a place in the file."""
