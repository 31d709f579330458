"""Search for hyperparameters: spaces, oracles, trials in parallel processes, and what was learnt."""
