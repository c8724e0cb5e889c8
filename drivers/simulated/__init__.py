"""A seeded world of people, walls and phones, rendered in the sensors' real formats."""
