"""Radio maps: the file, the locators on it, and the updaters that keep it true as access points come and go."""
