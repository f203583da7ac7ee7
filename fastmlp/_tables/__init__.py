"""Tables in memory and in files, independent of any model.

cells    columns: numbers, text, dates and mixed columns
table    named columns of equal length
csv      comma-separated values
files    choosing the reader by a file's first bytes or name
frames   pandas, polars, Arrow and NumPy
parquet_footer
         the description at a Parquet file's end
"""
