"""Writes what runs the platform on Compose and on Kubernetes, from the declarations that the code itself follows."""
