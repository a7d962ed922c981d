"""Losses: pure functions of tensors, with the formula beside each."""
