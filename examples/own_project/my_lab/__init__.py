"""Components of one's own, one a file; the files in conf/ name them."""
