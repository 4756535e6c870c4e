"""Programs that put all that cannot be made again into a restic repository. The hub's image holds them; a helper runs them."""
