"""Arrangements with Streamlit's server and with the browser. Knows nothing of runs."""
