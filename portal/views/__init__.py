"""The portal's pages, one module for each part of the sidebar."""
