"""The search for inputs that break the promise: whatever a person writes is refused with its keys, or works in all parts.

`written` draws whole inputs, `meaning` says what must come of one, `verdict` tries it. Nothing here knows how the product
reads a file; settings are known by their declarations only.
"""
