"""What the library and the hub agree on: labels, and the documents that the library writes and the hub reads.

Standard library only: the hub's image gets this folder as it is. Nothing here reads or writes a file.
"""
