"""Can this machine, this config and this cloud set-up run the pipeline? One file per group of checks, listed in `checks`."""
