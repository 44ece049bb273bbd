"""A cycle's audit as one HTML file: figures become tables and pictures, those become sections, those become a page."""
