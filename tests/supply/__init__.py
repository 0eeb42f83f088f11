"""What comes in from others, and how it is pinned."""
