"""Everything that the tasks in tasks.py think with; see README.md, section Design, for the order of the modules."""
