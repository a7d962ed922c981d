"""Tables and arrays of numbers, read into columns, and written."""
