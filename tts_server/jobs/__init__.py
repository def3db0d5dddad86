"""Texts too long for one connection: accepted once they are on disk, spoken piece by piece, kept until they expire."""
