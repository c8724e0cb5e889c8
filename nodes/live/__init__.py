"""The live page's inside: what it keeps, how it is served, and static/, the page itself (no build step)."""
