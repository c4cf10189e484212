"""Whom this site trusts, and by what: its keys, the projects that it is in by invitation, their manifests and orders, and the envelopes."""
