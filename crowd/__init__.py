"""The simulated people of a rehearsal, each with a browser of their own. The hub's image holds them; a helper runs them."""
