"""Dense layers, lookup and dropout."""
