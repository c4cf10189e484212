"""What `manage.py runjob` runs; each is one call to an action."""
