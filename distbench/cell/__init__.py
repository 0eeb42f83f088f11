"""One cell: one JSON in, one sealed record directory out, one fresh interpreter."""
