"""Pictures that a browser draws and plays by itself: components of Streamlit with JavaScript beside them.

Each is defined once, where its module is imported, because a process knows one component by a name. They get numbers
and short words as data and set words as text, so nothing typed becomes markup. They know no store and no session.
"""
