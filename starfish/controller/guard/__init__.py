"""What this site allows, and the one door through which anything leaves it."""
