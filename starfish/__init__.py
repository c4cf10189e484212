"""Starfish: exact federated statistics and federated learning for sites that may not share their data."""

__version__ = "0.1.0"
