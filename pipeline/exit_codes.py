"""Exit codes of the commands, as in the README."""

OK, FAILED, USAGE, NOT_BLESSED, LOCKED, INTERRUPTED = 0, 1, 2, 3, 4, 130
