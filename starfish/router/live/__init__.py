"""What must be quick: plain async views over the same actions, without DRF."""
