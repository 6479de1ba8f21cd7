"""The tabs below a run: how its network works, its data, its code, and what a reset does."""
