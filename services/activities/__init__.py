"""Records what was offered and who came."""
