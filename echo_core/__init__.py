"""Echo Lab's core: watch an LSTM learn to repeat random integers. No screen, no browser."""
