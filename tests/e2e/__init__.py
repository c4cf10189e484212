"""Whole federations on this machine: real processes, real HTTP, the commands that people type."""
