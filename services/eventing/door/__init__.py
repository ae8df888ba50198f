"""The way records come in: whole lists of one partition, from the position that the store holds."""
