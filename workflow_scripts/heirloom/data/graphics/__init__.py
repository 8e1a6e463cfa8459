"""What writers draw with: marks, scenes, furniture, light; and how pictures and lists are put on disk."""
