"""What the hours processor costs."""
