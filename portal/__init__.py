"""The merchants' portal: its shell, and the pages that compose several rooms.

- `charts`: charts as geometry
- `context`: template context of every page
- `errors`: the pages for what went wrong
- `icons`: icons, drawn inline
- `markup`: how template tags write HTML
- `navigation`: the sidebar and the bar of a signed-in page
- `theme`: the colour theme
- `views`: the pages
- `words`: how a state is said and shown
"""
