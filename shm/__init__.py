"""Moves bytes between two processes of one machine and knows nothing else. Standard library only."""
