"""Django's PostgreSQL backend with waits that end; settings name this package as the engine."""
