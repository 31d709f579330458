"""What a search learnt, for people and for programs."""
