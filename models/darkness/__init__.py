"""Photos too dark to be of use: the network, its training and its weights."""
