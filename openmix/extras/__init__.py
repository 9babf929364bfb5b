"""Experiments that are no classification of images; each is used by its own name."""
