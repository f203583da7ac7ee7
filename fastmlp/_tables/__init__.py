"""Tables in memory and in files, independent of any model.

cells    columns: numbers, text, dates and mixed columns
table    named columns of equal length
blocks   many columns of values as one array
options  how a user says that a file is written
context  what the columns of one table share
numerals decimal commas, thousands separators, percent and currency signs
dates    dates and times of day
content  decompression and encodings
dialect  delimiter, comments and header of a file of text
doubts   columns that may mean something else than what they are read as
csv      rows of text
arrow_text
         cells of text that pyarrow holds
excel    workbooks
files    choosing the reader by a file's first bytes or name
frames   pandas, polars, Arrow and NumPy
parquet_footer
         the description at a Parquet file's end
"""
