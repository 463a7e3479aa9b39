"""The Beam steps. Never reads an option; imports `models` and `store` only."""
