"""One HTML page about a recorded session: drawn by hand as SVG, complete in itself, the same bytes every time."""
