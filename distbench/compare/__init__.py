"""Join teacher and student records into one result: no torch, no models, only files."""
