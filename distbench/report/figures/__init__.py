"""The charts, as plotly figures in the light colours of `theme`. Each has a table with the same numbers beside it."""
