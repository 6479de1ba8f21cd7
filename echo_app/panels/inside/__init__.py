"""The views of the Inside page. Each is a module with `TITLE` and `draw(look)`, and says what it shows in one sentence.

They know a network at one moment (`look.Look`); only `look` asks for it.
"""
