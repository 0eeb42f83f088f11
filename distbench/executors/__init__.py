"""Where cells run: an executor is only a map over jobs."""
