"""What the examples that draw pictures share."""
