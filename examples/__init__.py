"""Studies that run: each folder has its data, its project file and a way to run it."""
