"""The proof: what each part promises, tried on the real thing. Mirrors starfish/, and has e2e/, part_a/ and architecture/."""
