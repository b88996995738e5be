"""Money in: a folder of small Django apps, each with its own models and migrations."""
