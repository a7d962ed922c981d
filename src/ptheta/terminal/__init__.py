"""What a user sees while work goes on, and the signals that end it."""
