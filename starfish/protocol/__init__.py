"""What crosses the wire between sites and the Routing Server; frozen, no I/O."""
