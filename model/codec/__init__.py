"""Bytes ↔ rows, one module a format."""
