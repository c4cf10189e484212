"""End-to-end encryption between sites: keys, invitations, manifests, envelopes. The Routing Server never imports it."""
