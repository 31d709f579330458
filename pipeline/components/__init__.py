"""TFX components of this project: thin, one file each; the work lives in models/, preprocessing/ or a pure module."""
