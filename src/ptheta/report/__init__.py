"""The report: runs compared, as one page and as Markdown."""
