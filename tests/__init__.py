"""The tests, one folder for each room; what several of them need is in `tests.helpers`."""
