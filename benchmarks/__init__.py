"""What Starfish costs: seconds a round, memory, waiting sites. `benchmarks/README.md` says how to run and to read them."""
