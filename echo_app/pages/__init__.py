"""The pages, one module each, in the order of the page from top to bottom."""
