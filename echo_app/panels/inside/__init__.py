"""The views of the Inside page. Each is a module with `TITLE` and `draw(look)`, and says what it shows in one sentence.

They know a network at one moment (`look.Look`), and neither the store nor how the moment was found.
"""
