"""From a basis to the canonical form A ~ Q C P^H."""
