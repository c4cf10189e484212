"""What a federated algorithm is: pure functions over one site's rows and over the sites' updates."""
