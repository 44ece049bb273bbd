"""Production traces out of what people have already: one normal form, a reader for each format, and a sample of them."""
