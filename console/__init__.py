"""What a person sees: the report, and the review in a browser."""
