"""Four hospitals' patients, one regression: what `make demo` shows."""
