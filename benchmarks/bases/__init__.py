"""Base models out of packages that ship one in a form of their own, for machines without the hub."""
