"""AWS and HTTP: every entry point turns its input into rows, asks the same scorer, renders the result."""
