"""Every write of the router: who may, what holds before and after, one transaction each."""
