"""Error estimates: parts with a stated norm, cost and confidence."""
