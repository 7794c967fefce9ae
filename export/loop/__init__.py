"""The training loops, and their configuration."""
