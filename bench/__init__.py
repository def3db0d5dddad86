"""Measurements: each says on which machine, with what, and how."""
