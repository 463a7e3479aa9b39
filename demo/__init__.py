"""The stream on one's own machine: Google's emulators, and what drives them."""
