"""The flights of New York City's airports in 2013, and whether one will arrive more than 15 minutes late."""
