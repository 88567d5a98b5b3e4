"""The sign that this package is footplate's, and not the original."""

_WRITTEN_BY = ""
