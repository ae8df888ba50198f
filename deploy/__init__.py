"""How the platform is run: servers, processes and data for one machine, and what larger deployments need."""
