"""Bodies by family: each names its members and where their stages, features and heads are; see `body.BodySpec`."""
