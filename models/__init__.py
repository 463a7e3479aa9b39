"""The pure core: arrays in, values out. Never imports Beam or the store."""
