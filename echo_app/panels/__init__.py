"""What pages are made of: the controls, a run, its replay, seeds, comparison, sharing."""
