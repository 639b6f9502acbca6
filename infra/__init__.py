"""What builds, measures and runs the deployed tree. None of it is deployed itself."""
