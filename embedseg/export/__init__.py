"""Segmentations in the formats of other programs: surfaces."""
