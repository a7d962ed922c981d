"""Measures: pure functions of features, images and log-likelihoods."""
