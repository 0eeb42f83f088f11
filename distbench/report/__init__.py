"""The report: `html.render` makes the page, `text` makes the terminal's table and the Markdown.

Nothing here computes a result. Numbers are worded once (`numbers.py`), verdicts come from the `Result`; the page's
JavaScript only moves what Python has already written.
"""
