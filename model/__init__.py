"""What a model is: rows, formats, engines, artifacts, stores. Knows nothing of HTTP or AWS functions."""
