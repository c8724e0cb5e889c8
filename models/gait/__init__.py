"""Who walks like whom: people recognised by their gait, in what a radar and a camera see of it."""
