"""A job: its options, its assembly, its launch, and what a person types."""
