"""End-to-end encryption between sites. Empty until invitations and envelopes arrive; the Routing Server never imports it."""
