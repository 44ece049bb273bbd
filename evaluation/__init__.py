"""Does it help? The top room, the only one that may use all others; so far, the demo that runs the whole path."""
