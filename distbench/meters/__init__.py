"""What is read off a model at work: times, memory, load."""
