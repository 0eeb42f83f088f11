"""What a terminal shows of a run, at any width. Pieces are rich renderables; the caller prints them."""
