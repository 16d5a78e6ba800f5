"""The pages of a report: files of their own, readable offline and without a script."""
