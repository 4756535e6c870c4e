"""The search for inputs that break the promise: any input is refused with its wrong keys named, or works in all parts.

`written` draws whole inputs, `meaning` says what each must lead to, `verdict` tries it. Nothing here knows how the product
reads a file; settings are known by their declarations only.
"""
