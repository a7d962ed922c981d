"""The analysis of a study from its two files: see `ptheta.study.files`."""
