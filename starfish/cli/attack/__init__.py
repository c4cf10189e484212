"""`starfish router attack-demo`: somebody who owns the Routing Server, its database, files and process, against three real sites.

It is an outsider: it knows the router by its files and its traffic alone, and what it forges it forges with keys of its own.
"""
