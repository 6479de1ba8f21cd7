"""What the Studies page is made of: the question, its answer as it grows, and the studies from before."""
