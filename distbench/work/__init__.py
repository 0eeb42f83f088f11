"""Units of inference work: what a task asks of a model over and over while a meter watches."""
