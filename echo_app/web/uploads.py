"""Limits the uploads that the server keeps for a session: Streamlit 1.67 keeps every file that it receives.

`server.maxUploadSize` limits one file. A page has two uploaders of one file each, but whoever speaks to the upload
address without a page can send any number of files, and Streamlit keeps them until that session ends. The method that
is wrapped here is not public: a test drives the real server, and fails when a later version no longer calls it.
"""

from functools import wraps

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

#: One for each uploader, and one that is just being replaced.
FILES_PER_SESSION = 3


def bound() -> None:
    """Keep the newest `FILES_PER_SESSION` files of each session. A second call does nothing."""
    add_file = MemoryUploadedFileManager.add_file
    if add_file.__module__ == __name__:
        return

    @wraps(add_file)
    def add_and_drop(self: MemoryUploadedFileManager, session_id: str, file: UploadedFileRec) -> None:
        add_file(self, session_id, file)
        for file_id in list(self.file_storage.get(session_id, ()))[:-FILES_PER_SESSION]:
            self.remove_file(session_id, file_id)

    add_and_drop.__module__ = __name__
    MemoryUploadedFileManager.add_file = add_and_drop  # type: ignore[method-assign]
