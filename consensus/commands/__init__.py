"""The commands of this room, one module each; the only place in it that prints."""
