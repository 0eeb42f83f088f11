"""A plan as jobs of a cluster's own scheduler: each is one `distbench cell`, and stages say what waits for what."""
