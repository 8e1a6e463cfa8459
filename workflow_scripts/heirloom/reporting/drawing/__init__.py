"""What figures share, and what each says of itself."""
