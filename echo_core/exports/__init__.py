"""A run as files: script, notebook, tables, weights, picture. Knows no screen; never imports TensorFlow."""
