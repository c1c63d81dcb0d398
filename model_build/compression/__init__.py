"""Smaller networks from a trained one, and which of them ships."""
