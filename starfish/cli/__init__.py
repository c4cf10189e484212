"""What a person types: one file for each noun; every command calls `starfish.controller.api`."""
