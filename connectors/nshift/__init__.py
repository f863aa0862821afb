"""nShift Return: what its API is, and a simulator of it."""
