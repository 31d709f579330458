"""Raw rows in, scores out: by a pushed SavedModel or edge package, in this process or on Beam."""
