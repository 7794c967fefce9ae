"""Photographs, cameras and blur to train on."""
