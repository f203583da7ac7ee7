"""Networks for tables: from a file or data frame to a model that knows its columns."""
