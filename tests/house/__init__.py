"""Rules that the sources alone can break; `./dev check` runs them too, without a database."""
