"""The wire contract's Part A, proved from outside: a client of its own, standard library only, that knows nothing of starfish."""
