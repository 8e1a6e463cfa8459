"""Networks with stage taps and their weight files; know no attack."""
