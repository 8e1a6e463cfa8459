"""What an adversary does to images: crafted on the teacher, crafted on the student, or random as a control."""
