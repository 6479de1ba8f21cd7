"""The pages, one module each; each reads from top to bottom."""
