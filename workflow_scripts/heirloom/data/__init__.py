"""Pictures on disk to uint8 arrays and batches; knows no model."""
