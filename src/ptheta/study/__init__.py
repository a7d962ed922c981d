"""The human study: people answer questions about images, and the answers are analysed.

The two files of a study, `answers.csv` and `study.json`, are described in `ptheta.study.files`.
"""
