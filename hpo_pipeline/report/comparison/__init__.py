"""Methods compared, for people: what is said of them, a table in a terminal, a page, frames of pandas.

words.py    the sentences, the same everywhere
rows.py     the numbers: as frames, and as JSON takes them
table.py    the table in a terminal
page.py     comparison.html, of the building blocks of report.html; what a notebook shows
"""
