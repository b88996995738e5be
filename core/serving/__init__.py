"""How requests share the threads of the web process."""
