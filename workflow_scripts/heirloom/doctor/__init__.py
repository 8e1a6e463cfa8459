"""`make doctor`: what this machine, this environment and this folder offer, and what each study would take of them."""
