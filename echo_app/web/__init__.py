"""What the app has to arrange with Streamlit's server and the browser. Knows nothing of runs."""
