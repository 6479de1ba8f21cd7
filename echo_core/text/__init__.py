"""The visitor's own words: one form for each text, files that hold them, and counts in English. Knows no config."""
