"""Segmentations in the formats of other programs, and the way back: surfaces, outlines, tables."""
