"""Where models and training data come from, and what the teacher said about them."""
