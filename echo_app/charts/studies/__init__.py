"""Pictures of a study's answer: every seed, the mean of each setting with its interval. Know neither runs nor pages."""
