"""The flights of New York City's airports in 2013: will one arrive more than 15 minutes late?"""
