"""The tasks that ship with Starfish: one folder each, independent of one another."""
