"""Taking photos out of the library, bringing them back, deleting them for good."""
