"""`site up`: learns where its runs are, decides purely what is next, and does it; a crash is just another tick."""

from starfish.controller.daemon.loop import run

__all__ = ["run"]
