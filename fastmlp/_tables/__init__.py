"""Tables in memory and in files, before they are anything to a model.

cells   columns: numbers, text, dates, and mixtures
table   named columns of one length
csv     comma-separated values
files   choosing the reader by a file's name
frames  pandas, polars and Arrow
"""
