"""Peers doing the same work from the same settings, side by side in one run: `make bench`."""
