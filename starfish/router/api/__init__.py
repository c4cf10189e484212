"""Views that read a request, call one action, and reply."""
