"""The handlers that are measured, each as it would stand alone in a function's code; `timed` wraps any of them."""
