"""Where task code runs: a process of its own without keys or token (main, steps), and the daemon's handle on it (process)."""
