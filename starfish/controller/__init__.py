"""A site: its home folder, data, daemon and workers, and all that its people can do."""
