"""TFX's data stages in this process, a block of rows at a time: TFT's analyzers, TFDV's generators, without Beam (ADR 0009)."""
