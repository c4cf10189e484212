"""Tests of the house itself: its tree, its sizes, its claims."""
