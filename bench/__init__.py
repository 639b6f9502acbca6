"""The benchmark: ours beside what everybody writes and beside the floor, in one run on Lambda's runtime client."""
