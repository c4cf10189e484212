"""What the tests share: real servers, a PostgreSQL cluster to throw away, the environment that both run in."""
