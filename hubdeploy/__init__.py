"""The library behind the tasks in tasks.py; docs/design.md describes its rooms and the one direction of their imports."""

# The version of the whole checkout; CHANGELOG.md says what each brought.
__version__ = "1.1.0"
