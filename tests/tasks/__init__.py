"""The tasks against the answers of pooled data."""
