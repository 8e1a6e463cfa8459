"""How a student starts from its teacher."""
