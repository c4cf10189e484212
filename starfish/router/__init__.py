"""The Routing Server: keeps sites, projects and batches, and passes sealed or open payloads on without reading them."""
