"""For integrators: the API's root, its description and the pages about it.

- `document`: the committed OpenAPI document
- `errors`: every error code: what it means and what to do
- `examples`: documented examples
- `guide`: test cards and snippets of the guide
- `openapi`: what the document says beyond the views
- `prose`: the marks of Markdown that docstrings use, as HTML
- `reference`: the API reference, read out of the document
- `webhooks`: webhooks in the document, one typed event each
"""
