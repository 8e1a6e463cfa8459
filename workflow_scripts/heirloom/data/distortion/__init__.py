"""What corruptions are made with: filters, maps, draws of random numbers, severities; and where they are stored."""
