"""The documentation, and the script that draws and writes what of it follows from the code."""
