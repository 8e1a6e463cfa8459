"""Files, seeds, devices, logging and the code digest: what every stage needs and no method is about."""
