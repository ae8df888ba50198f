"""Keeps what is to reach a volunteer: credited minutes for exports, notices to be delivered."""
