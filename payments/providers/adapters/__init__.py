"""The providers, a folder each, which know nothing of each other; `registry` names them."""
